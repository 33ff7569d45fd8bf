"""The charts of PERFORMANCE.md and of the guide, and the tables of `pages/` and of the guide, made from `records/`. Needs only Python 3.9 or later.

    python3 benches/charts.py           writes charts/*.svg here and in the guide, and the tables between the marks in PERFORMANCE.md, pages/*.md and the guide
    python3 benches/charts.py --check   lists the files that differ from the records; exit status 1 if any

In a page, a table stands between `<!-- table NAME: RECORD -->` and `<!-- end -->`; `page_tables.py` and `cells_tables.py` have a function for each.
"""

import argparse
import math
import pathlib
import re
import sys

import cells_tables
import page_tables as tables

HERE = pathlib.Path(__file__).parent
GUIDE = HERE.parent / "docs/guide/src/charts"
WIDTH = 480
MARK = re.compile(r"(<!-- table ([\w-]+)(?:: [^>]*)? -->\n).*?(<!-- end -->)", re.DOTALL)

# Colours that colour-blind readers can tell apart (Okabe and Ito), for light and dark pages; each series also has its own shape.
COLOURS = [
    *[("#1f2328", "#f0f6fc"), ("#0072b2", "#56b4e9"), ("#c04a00", "#ff8c42")],
    *[("#007d5c", "#2fd3a5"), ("#a8528a", "#e39bc7"), ("#8a6200", "#e6b422")],
]
PAPER, TEXT, MUTED, GRID = ("#ffffff", "#0d1117"), ("#1f2328", "#e6edf3"), ("#59636e", "#9198a1"), ("#d8dee4", "#30363d")


def style(dark):
    rules = [f".paper{{fill:{PAPER[dark]}}}", f"text{{fill:{TEXT[dark]}}}", f".muted{{fill:{MUTED[dark]}}}", f".grid{{stroke:{GRID[dark]}}}"]
    rules += [f".one{{stroke:{MUTED[dark]}}}"]
    rules += [f".c{n}{{fill:{both[dark]};stroke:{both[dark]}}}" for n, both in enumerate(COLOURS)]
    return "".join(rules)


class Picture:
    """An SVG that grows downward; `y` is the top of the next part."""

    def __init__(self, title, subtitle):
        self.parts, self.y, self.title = [], 24, title
        self.text(12, self.y, title, "title")
        for line in subtitle:
            self.y += 18
            self.text(12, self.y, line, "muted")
        self.y += 14

    def text(self, x, y, words, kind="", anchor="start"):
        words = str(words).replace("&", "&amp;").replace("<", "&lt;")
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{words}</text>')

    def line(self, x1, y1, x2, y2, kind):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def mark(self, x, y, series):
        shapes = [
            "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z",
            "M-3.5 -3.5h7v7h-7Z",
            "M0 -4.5L4.5 3.5H-4.5Z",
            "M0 -5L5 0L0 5L-5 0Z",
            "M0 4.5L4.5 -3.5H-4.5Z",
            "M-4 -1.3H-1.3V-4H1.3V-1.3H4V1.3H1.3V4H-1.3V1.3H-4Z",
        ]
        self.parts.append(f'<path d="{shapes[series]}" transform="translate({x:.1f} {y:.1f})" class="c{series}"/>')

    def curve(self, points, series):
        for (x1, y1), (x2, y2) in zip(points, points[1:]):
            self.line(x1, y1, x2, y2, f"c{series} thick")
        for x, y in points:
            self.mark(x, y, series)

    def legend(self, names):
        """The legend: names of the series by number."""
        x = 18
        self.y += 8
        for series, name in names.items():
            width = 20 + 7.4 * len(name)
            if x + width > WIDTH:
                x, self.y = 18, self.y + 20
            self.mark(x, self.y, series)
            self.text(x + 9, self.y + 4.5, name)
            x += width + 8
        self.y += 20

    def svg(self):
        height = self.y + 8
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img">'
        fixed = "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif}.title{font-size:15px;font-weight:600}"
        fixed += "line{stroke-width:1}.thick{stroke-width:2}"
        css = f"<style>{fixed}{style(False)}@media (prefers-color-scheme:dark){{{style(True)}}}</style>"
        paper = f'<rect class="paper" width="{WIDTH}" height="{height:.0f}"/>'
        return "\n".join([head, f"<title>{self.title}</title>", css, paper, *self.parts, "</svg>"]) + "\n"


def scale(least, most, left, right):
    """A logarithmic axis."""
    return lambda value: left + (right - left) * math.log(value / least) / math.log(most / least)


def dots(picture, groups, panels, least, most, ticks):
    """Rows of values on a logarithmic axis. `groups` maps a head to rows; a row is a label and, for each panel, values by series."""
    label, gap = 182, 14
    width = (WIDTH - label - 12 - gap * (len(panels) - 1)) / len(panels)
    places = [scale(least, most, label + n * (width + gap), label + n * (width + gap) + width) for n in range(len(panels))]
    for place, name in zip(places, panels):
        if name:
            picture.text((place(least) + place(most)) / 2, picture.y + 4, name, "", "middle")
    picture.y += 18 * any(panels)
    for place in places:
        for tick in ticks:
            picture.text(place(tick), picture.y + 4, f"{tick:g}", "muted", "middle")
    top = picture.y = picture.y + 10
    grid = len(picture.parts)
    for head, rows in groups.items():
        if head:
            picture.y += 18
            picture.text(12, picture.y + 1, head, "muted")
        for name, by_panel in rows:
            picture.y += 17
            picture.text(label - 12, picture.y, name, "", "end")
            for place, values in zip(places, by_panel):
                for series, value in sorted(values.items(), reverse=True):
                    picture.mark(place(value), picture.y - 4.5, series)
        picture.y += 4
    lines = Picture("", [])
    lines.parts = []
    for place in places:
        for tick in ticks:
            lines.line(place(tick), top, place(tick), picture.y, "one" if tick == 1 else "grid")
    picture.parts[grid:grid] = lines.parts
    picture.y += 6


def short(case):
    """A short name of a case, without its cell."""
    sizes = dict(re.findall(r"-([btih])(\d+)", case))
    more = "".join(word for word in [" bi" * case.endswith("-bi"), " before" * case.endswith("-before")])
    inputs = "" if sizes["i"] == sizes["h"] else f" I{sizes['i']}"
    return f"B{sizes['b']} T{sizes['t']}{inputs} H{sizes['h']}{more}"


def beside_peers():
    groups = tables.runs("peers-cpu-tiles-rounds.jsonl")
    lines = ["36 cases, one thread, AVX-512, logarithmic; right is slower", "Measured: peers-cpu-tiles-rounds.jsonl"]
    picture = Picture("CPU: time of other engines, wgru = 1", lines)
    picture.legend(dict(enumerate(tables.PEERS.values(), 1)))
    rows = {}
    for case in tables.OTHERS + tables.PUBLISHED:
        values = {series: tables.ratios(groups, case, peer, 1) for series, peer in enumerate(tables.PEERS, 1)}
        values = {series: value for series, value in values.items() if value}
        rows.setdefault(case.split("-")[0].upper(), []).append((short(case), [values]))
    dots(picture, rows, [""], 0.9, 100, [1, 2, 5, 10, 20, 50, 100])
    return picture.svg()


def steps():
    groups = tables.runs("peers-cpu-zen-rounds.jsonl")
    lines = ["GRU, I = H, f32, one thread, AMD Zen 4; an earlier commit", "Measured: peers-cpu-zen-rounds.jsonl"]
    picture = Picture("CPU: time of one step of one stream", lines)
    picture.legend({0: "wgru", **dict(enumerate(tables.PEERS.values(), 1))})
    sizes = [64, 256, 1024]
    top, bottom = picture.y + 6, picture.y + 266
    across, down = scale(sizes[0], sizes[-1], 92, WIDTH - 72), scale(1, 2000, bottom, top)
    for micros in [1, 10, 100, 1000]:
        picture.line(72, down(micros), WIDTH - 16, down(micros), "grid")
        picture.text(66, down(micros) + 4, f"{micros} µs" if micros < 1000 else "1 ms", "muted", "end")
    for hidden in sizes:
        picture.text(across(hidden), bottom + 20, f"H = {hidden}", "muted", "middle")
    for series, engine in reversed(list(enumerate(["wgru", *tables.PEERS]))):
        its_set = "avx512" if engine == "wgru" else None
        rows = [groups[f"gru-b1-t1-i{hidden}-h{hidden}", engine, its_set, 1] for hidden in sizes]
        points = [(across(hidden), down(tables.less(of) * 1e6)) for hidden, of in zip(sizes, rows)]
        picture.curve(points, series)
    picture.y = bottom + 28
    return picture.svg()


STRATEGIES = {"persistent": 1, "streamed": 3, "step": 2}


def strategies():
    lines = ["18 cases, logarithmic; right is slower. Not a GPU.", "Measured: tune-llvmpipe.csv, tune-swiftshader.csv"]
    picture = Picture("Software GPU drivers: strategies, fastest = 1", lines)
    picture.legend({1: "weights in registers", 3: "weights streamed", 2: "a dispatch a step"})
    of_drivers = [{case: least for case, least, _ in tables.best_by_strategy(f"tune-{driver}.csv")} for driver in ["llvmpipe", "swiftshader"]]
    rows = {}
    for case in of_drivers[0]:
        by_panel = []
        for of_driver in of_drivers:
            least = of_driver[case]
            by_panel.append({STRATEGIES[kind]: seconds / min(least.values()) for kind, seconds in least.items()})
        rows.setdefault(case.split("-")[0].upper(), []).append((short(case), by_panel))
    dots(picture, rows, ["llvmpipe", "SwiftShader"], 0.9, 50, [1, 2, 5, 10, 40])
    return picture.svg()


def streams():
    lines = ["p99 within 10 ms, fewer than 0.1 % late; GRU", "Measured, AMD EPYC, 2 cores: streams-loads.jsonl"]
    picture = Picture("Streams kept in real time, 100 frames a second each", lines)
    rows = sorted(tables.read("streams-loads.jsonl"), key=lambda row: (row["case"].endswith("-l2"), row["most_streams"]), reverse=True)
    most = max(row["most_streams"] for row in rows)
    for row in rows:
        sizes = "H 256, 2 layers" if row["case"].endswith("-l2") else "H 64, 1 layer"
        device = tables.device_of(row).replace("vulkan", "Vulkan").replace("gl", "GL")
        picture.text(12, picture.y + 14, f"{device}; {sizes}; load of {row['batch']:,}")
        width = max(2, row["most_streams"] / most * (WIDTH - 80))
        colour = "c1" if row["backend"] == "cpu" else "c2"
        picture.parts.append(f'<rect x="12" y="{picture.y + 20}" width="{width:.1f}" height="13" class="{colour}"/>')
        picture.text(12 + width + 7, picture.y + 31, row["most_streams"])
        picture.y += 42
    return picture.svg()


def words():
    rows = tables.read("g2p-error-rates.csv")
    lines = ["12,488 words of CMU's dictionary, held out of training", "Measured: g2p-error-rates.csv; lengths with 50 words and more"]
    picture = Picture("Pronunciation: wrong words by their length", lines)
    systems = {"baseline": 4, "wgru greedy": 1, "wgru beam of 5": 3}
    picture.legend({series: name for name, series in systems.items()})
    top, bottom = picture.y + 6, picture.y + 236
    by_system = {name: {} for name in systems}
    for row in rows:
        if row["letters"] != "all" and int(row["words"]) >= 50:
            by_system[row["system"]][int(row["letters"])] = float(row["wer"])
    lengths = sorted(by_system["baseline"])

    def across(length):
        return 70 + (WIDTH - 102) * (length - lengths[0]) / (lengths[-1] - lengths[0])

    def down(rate):
        return bottom - (bottom - top) * rate / 100

    for rate in range(0, 101, 20):
        picture.line(54, down(rate), WIDTH - 16, down(rate), "grid")
        picture.text(48, down(rate) + 4, f"{rate} %", "muted", "end")
    for length in lengths:
        picture.text(across(length), bottom + 20, length, "muted", "middle")
    for name, series in systems.items():
        picture.curve([(across(length), down(rate)) for length, rate in sorted(by_system[name].items())], series)
    picture.y = bottom + 40
    picture.text(WIDTH / 2, picture.y, "letters of the word", "muted", "middle")
    return picture.svg()


def speech():
    rows = tables.read("dtln-si-sdr.csv")
    lines = ["Means of 5 sentences of one reader; 0 is the noisy sentence", "Measured: dtln-si-sdr.csv"]
    picture = Picture("DTLN: gain in SI-SDR by the noise, in dB", lines)
    by_noise = tables.grouped(rows, "noise", "snr_db")
    noises, ratios = [list(dict.fromkeys(key[part] for key in by_noise)) for part in (0, 1)]
    picture.legend(dict(enumerate(noises, 1)))
    gains = {
        key: sum(float(row["si_sdr_after_db"]) - float(row["si_sdr_before_db"]) for row in of_key) / len(of_key)
        for key, of_key in by_noise.items()
    }
    most, least = math.ceil(max(gains.values()) / 2) * 2, math.floor(min(0, *gains.values()) / 2) * 2
    top, bottom = picture.y + 6, picture.y + 236

    def down(gain):
        return bottom - (bottom - top) * (gain - least) / (most - least)

    places = {ratio: 70 + (WIDTH - 102) * at / (len(ratios) - 1) for at, ratio in enumerate(ratios)}
    for gain in range(least, most + 1, 2):
        picture.line(54, down(gain), WIDTH - 16, down(gain), "one" if gain == 0 else "grid")
        picture.text(48, down(gain) + 4, f"{gain:+d}".replace("-", "−") if gain else "0", "muted", "end")
    for ratio, x in places.items():
        picture.text(x, bottom + 20, f"{ratio} dB".replace("-", "−"), "muted", "middle")
    for series, noise in enumerate(noises, 1):
        picture.curve([(places[ratio], down(gains[noise, ratio])) for ratio in ratios], series)
    picture.y = bottom + 40
    picture.text(WIDTH / 2, picture.y, "speech to noise before", "muted", "middle")
    return picture.svg()


def polish():
    """Bars of the medians, with a line from the least to the most."""
    groups = tables.grouped(tables.read("polish-alternating.csv"), "engine")
    rows = [row for of in groups.values() for row in of]
    sizes = f"{rows[0]['windows']} windows of {int(rows[0]['columns']):,} columns, {rows[0]['threads']} threads; {len(rows) // len(groups)} rounds in turn"
    processor = rows[0]["processor"]
    picture = Picture("Polishing: windows a second", [sizes, processor, "Median, least and most: polish-alternating.csv"])
    speeds = {engine: sorted(float(row["windows_per_s"]) for row in of) for (engine,), of in groups.items()}
    most = max(of[-1] for of in speeds.values())
    names = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}

    def across(speed):
        return 12 + (WIDTH - 90) * speed / most

    for series, (engine, of) in enumerate(speeds.items(), 1):
        name, _, version = engine.partition(" ")
        picture.text(12, picture.y + 14, f"{names.get(name, name)} {version.split('+')[0]}")
        median, y = of[len(of) // 2], picture.y + 20
        picture.parts.append(f'<rect x="12" y="{y}" width="{across(median) - 12:.1f}" height="13" class="c{series}"/>')
        picture.line(across(of[0]), y + 6.5, across(of[-1]), y + 6.5, "one thick")
        picture.text(across(max(median, of[-1])) + 7, y + 11, f"{median:.2f}")
        picture.y += 42
    return picture.svg()


def cells():
    """The figures of every seed beside the mean of the GRU's, task by task."""
    lines = ["Every seed, divided by the GRU's mean; logarithmic, right is worse", "Measured: cells-training.jsonl"]
    picture = Picture("GRU, LSTM and RNN: errors, and steps until solved", lines)
    groups, label = cells_tables.trainings(), 172
    relative = {}
    for key, by_cell in groups.items():
        gru = [value for value in cells_tables.figures(by_cell["gru", "H"]) if value < math.inf]
        for cell, rows in by_cell.items() if gru else []:
            relative[key, cell] = [value / (sum(gru) / len(gru)) for value in cells_tables.figures(rows)]
    drawn = [value for values in relative.values() for value in values if value < math.inf]
    place = scale(min(drawn) * 0.95, max(drawn) * 1.05, label, WIDTH - 100)
    ticks = [tick for tick in [0.3, 0.5, 0.7, 1, 1.4, 2, 3, 4, 6, 8] if min(drawn) * 0.95 <= tick <= max(drawn) * 1.05]
    for tick in ticks:
        picture.text(place(tick), picture.y + 4, f"{tick:g}", "muted", "middle")
    top = picture.y = picture.y + 10
    grid = len(picture.parts)
    series = {"gru": 1, "lstm": 2, "rnn": 3}
    for (task, data), by_cell in groups.items():
        if ((task, data), ("gru", "H")) not in relative:
            continue
        picture.y += 20
        picture.text(12, picture.y + 1, f"{cells_tables.TASKS[task][1]}{', a quarter of the data' if data == 'quarter' else ''}", "muted")
        for column, name in zip(cells_tables.COLUMNS, cells_tables.HEADS):
            if column not in by_cell:
                continue
            picture.y += 17
            picture.text(label - 12, picture.y, name.replace("parameters", "param."), "", "end")
            values = [value for value in relative[(task, data), column] if value < math.inf]
            if values:
                picture.line(place(min(values)), picture.y - 4.5, place(max(values)), picture.y - 4.5, f"c{series[column[0]]} thick")
            for value in values:
                picture.mark(place(value), picture.y - 4.5, series[column[0]])
            missing = len(relative[(task, data), column]) - len(values)
            if missing:
                picture.text(WIDTH - 12, picture.y, f"{missing} not solved", "muted", "end")
        picture.y += 4
    lines = Picture("", [])
    lines.parts = []
    for tick in ticks:
        lines.line(place(tick), top, place(tick), picture.y, "one" if tick == 1 else "grid")
    picture.parts[grid:grid] = lines.parts
    picture.y += 6
    return picture.svg()


def crossover():
    """For each GPU a table of B and H: which is faster, and how many times."""
    lines = ["GRU, T = 100, without transfers; a processor of 8 cores with AVX2"]
    lines += ["Predicted by the cost model, not measured: predicted-crossover.csv"]
    picture = Picture("Where a GPU pays off", lines)
    picture.legend({1: "GPU faster", 2: "CPU faster"})
    label, height = 62, 22
    for (chip,), rows in tables.grouped(tables.read("predicted-crossover.csv"), "chip").items():
        units = list(dict.fromkeys(row["h"] for row in rows))
        width = (WIDTH - 12 - label) / len(units)
        picture.y += 22
        picture.text(12, picture.y, chip)
        picture.y += 20
        for column, hidden in enumerate(units):
            picture.text(label + (column + 0.5) * width, picture.y, f"H {hidden}", "muted", "middle")
        picture.y += 8
        for batch, of in tables.grouped(rows, "b").items():
            picture.text(label - 10, picture.y + 15, f"B {batch[0]}", "", "end")
            for column, row in enumerate(of):
                times = float(row["cpu_us"]) / float(row["gpu_us"])
                series, factor = (1, times) if times >= 1 else (2, 1 / times)
                x = label + column * width
                strength = 0.15 + 0.5 * min(1, math.log(factor) / math.log(30))
                place = f'x="{x + 1:.1f}" y="{picture.y}" width="{width - 2:.1f}" height="{height - 2}"'
                picture.parts.append(f'<rect {place} class="c{series}" style="stroke:none;fill-opacity:{strength:.2f}"/>')
                picture.text(x + width / 2, picture.y + 15, f"{'GPU' if series == 1 else 'CPU'} {factor:.{1 if factor < 9.5 else 0}f}×", "", "middle")
            picture.y += height
    picture.y += 6
    return picture.svg()


CHARTS = {
    "cpu-beside-others": beside_peers,
    "cpu-step": steps,
    "driver-strategies": strategies,
    "streams": streams,
}
# Of the guide, which has its pictures in its own folder.
GUIDE_CHARTS = {
    "denoise-si-sdr": speech,
    "g2p-errors": words,
    "gru-or-lstm": cells,
    "polish": polish,
    "where-a-gpu-pays-off": crossover,
}


def table(name):
    """A table in Markdown."""
    known = tables.TABLES | cells_tables.TABLES
    if name not in known:
        raise SystemExit(f"no table is called {name}; the tables are {', '.join(known)}")
    head, *rows = known[name]()
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def made():
    """The contents of every generated file, by path."""
    files = {HERE / "charts" / f"{name}.svg": draw() for name, draw in CHARTS.items()}
    files |= {GUIDE / f"{name}.svg": draw() for name, draw in GUIDE_CHARTS.items()}
    for page in [HERE.parent / "PERFORMANCE.md", *sorted((HERE / "pages").glob("*.md")), *sorted(GUIDE.parent.glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        filled = MARK.sub(lambda found: found[1] + "\n" + table(found[2]) + "\n" + found[3], text)
        if "<!-- table" in text:
            files[page] = filled
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file differs from the records")
    check = parser.parse_args().check
    differ = [path for path, text in made().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in differ:
        print(f"{path.relative_to(HERE.parent)} {'differs from the records: run benches/charts.py' if check else 'written'}")
    if check:
        sys.exit(1 if differ else 0)
    for path, text in made().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
