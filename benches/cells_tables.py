"""Tables of docs/guide/src/gru-or-lstm.md, from the records of `studies/cells`: errors, times, and a verdict on each common statement.

Two cells differ if the errors of all seeds of one are below those of the other; else they are within the spread. If nothing but chance
decided, two cells with three seeds each would differ so in one comparison of ten.
"""

import statistics

from page_tables import NONE, RECORDS, grouped, read, time

COLUMNS = [("gru", "H"), ("lstm", "H"), ("rnn", "H"), ("lstm", "parameters"), ("rnn", "parameters")]
HEADS = ["GRU", "LSTM, equal H", "RNN, equal H", "LSTM, equal parameters", "RNN, equal parameters"]
# Of each task: what is compared, the name of the task, and how a figure is written.
TASKS = {
    "co2": ("mae_ppm", "CO₂, MAE in ppm", lambda value: f"{value:.3f}"),
    "g2p": ("per", "g2p, wrong phonemes in %", lambda value: f"{value:.1f}"),
    **{f"adding-{steps}": ("steps", f"adding, T {steps:,}, steps until solved", lambda value: f"{value:.0f}") for steps in (100, 200, 400, 1000)},
}
OUTCOMES = ["better", "worse", "within the spread"]
# From so many steps on a sequence is not a common one.
LONG = "adding-1000"


def times(record):
    """The lines of a record of times; none if they have not been measured yet."""
    return read(record) if (RECORDS / record).exists() else []


def trainings():
    """(task, data) to (cell, match) to the trainings of all seeds."""
    groups = {}
    for key, rows in grouped(read("cells-training.jsonl"), "task", "data").items():
        groups[key] = {cell: own for cell, own in grouped(rows, "cell", "match").items()}
    return {key: groups[key] for key in sorted(groups, key=lambda key: (list(TASKS).index(key[0]), key[1]))}


def figures(rows):
    """Lower is better. An adding problem that was not solved took infinitely many steps."""
    name = TASKS[rows[0]["task"]][0]
    return [float("inf") if name == "steps" and not row["solved"] else row[name] for row in rows]


def written(rows):
    """The mean of the seeds, the least and the largest; of an adding problem the median, and how many seeds solved it where not all did."""
    task, values = rows[0]["task"], sorted(figures(rows))
    text = TASKS[task][2]
    solved = [value for value in values if value != float("inf")]
    if len(solved) < len(values):
        return f"{len(solved)} of {len(values)} seeds solved" if len(values) > 1 else "not solved"
    if len(values) == 1:
        return f"{text(values[0])} (one seed)"
    middle = statistics.median(values) if TASKS[task][0] == "steps" else statistics.fmean(values)
    return f"{text(middle)} ({text(values[0])} to {text(values[-1])})"


def errors():
    yield ["task", "data", *HEADS]
    for (task, data), cells in trainings().items():
        line = [written(cells[column]) if column in cells else NONE for column in COLUMNS]
        yield [TASKS[task][1], data if data == "all" else "a quarter", *line]


def compared(gru, other):
    """`better`, `worse` or `within the spread`: the GRU beside another cell. Also why nothing can be said."""
    if len(gru) < 2 or len(other) < 2:
        return "one seed"
    if min(gru + other) == float("inf"):
        return "neither solved"
    if max(gru) < min(other):
        return "better"
    return "worse" if min(gru) > max(other) else "within the spread"


def comparisons():
    """(task, data, match): the GRU beside the LSTM."""
    for (task, data), cells in trainings().items():
        for match in ["H", "parameters"]:
            if ("gru", "H") in cells and ("lstm", match) in cells:
                yield task, data, match, compared(figures(cells["gru", "H"]), figures(cells["lstm", match]))


def beside_lstm():
    by_task = {}
    for task, data, match, outcome in comparisons():
        by_task.setdefault((task, data), {})[match] = outcome
    yield ["task", "data", "the GRU, at equal H", "at equal parameters"]
    for (task, data), outcomes in by_task.items():
        name = TASKS[task][1].split(",")[0] + (f", T {int(task.split('-')[1]):,}" if task.startswith("adding") else "")
        yield [name, data if data == "all" else "a quarter", *[outcomes.get(match, NONE) for match in ["H", "parameters"]]]


def step_quotients(match, onednn, cell="lstm"):
    """Of each task: another cell's time for a training step, divided by the GRU's: the median of the rounds, the least and the largest."""
    rows = [row for row in times("cells-steps.jsonl") if row["onednn"] == onednn]
    for (task,), own in grouped(rows, "task").items():
        seconds = {(row["cell"], row["match"], row["round"]): row["median_s"] for row in own}
        rounds = sorted({key[2] for key in seconds})
        yield task, spread([seconds[cell, match, turn] / seconds["gru", "H", turn] for turn in rounds])


def inference_quotients(match, cell="lstm"):
    """(H, timed) in the crate, likewise."""
    rows = [row for row in times("cells-inference.jsonl") if row["timed"] in ("step", "sequence") and row["timing"] == "wall"]
    for (hidden, timed), own in grouped(rows, "layer", "timed").items():
        gru = {row["round"]: row["median_s"] for row in own if row["case"].startswith("gru-")}
        theirs = [row for row in own if row["case"].startswith(f"{cell}-") and row["case"].endswith(f"-h{hidden}") == (match == "H")]
        yield (hidden, timed), spread([row["median_s"] / gru[row["round"]] for row in theirs])


def spread(values):
    return statistics.median(values), min(values), max(values)


def in_words(quotient):
    return "{:.2f} ({:.2f} to {:.2f})".format(*quotient)


def training_steps():
    rows = times("cells-steps.jsonl")
    yield ["task", "oneDNN", *HEADS]
    for (task, onednn), own in grouped(rows, "task", "onednn").items():
        cells = grouped(own, "cell", "match")
        line = [time(statistics.median(row["median_s"] for row in cells[column])) for column in COLUMNS]
        name = TASKS[task][1].split(",")[0] + (f", T {int(task.split('-')[1]):,}" if task.startswith("adding") else "")
        yield [name, "yes" if onednn else "no", *line]


def inference():
    rows = [row for row in times("cells-inference.jsonl") if row["timed"] in ("step", "sequence") and row["timing"] == "wall"]
    yield ["I = H of the GRU", "timed", *HEADS]
    for (hidden, timed), own in grouped(rows, "layer", "timed").items():
        line = []
        for cell, match in COLUMNS:
            its = [row for row in own if row["case"].startswith(f"{cell}-") and row["case"].endswith(f"-h{hidden}") == (match == "H")]
            line.append(time(statistics.median(row["median_s"] for row in its)))
        yield [str(hidden), "a step of one stream" if timed == "step" else "16 sequences of 50 steps", *line]


def verdicts():
    """Each common statement, what was found, and the verdict that follows from it by the rules below."""
    yield ["statement", "found", "verdict"]
    yield ["a GRU has a quarter fewer parameters than an LSTM", *fewer_parameters()]
    yield ["its steps are faster: inference in this crate", *faster([quotient for _, quotient in inference_quotients("H")])]
    for onednn, name in [(True, "as PyTorch is installed"), (False, "with oneDNN turned off")]:
        yield [f"its steps are faster: training in PyTorch, {name}", *faster([quotient for _, quotient in step_quotients("H", onednn)])]
    known = list(comparisons())
    yield ["no significant difference on most tasks", *mostly(known, "within the spread")]
    yield ["a GRU is often better on little data", *mostly([one for one in known if one[1] == "quarter"], "better")]
    yield ["an LSTM is better on sequences of 1,000 steps and more", *on_long()]


def fewer_parameters():
    cells = trainings()
    shares = {}
    for (task, _), own in cells.items():
        if ("gru", "H") in own and ("lstm", "H") in own:
            shares[task] = own["gru", "H"][0]["parameters"] / own["lstm", "H"][0]["parameters"]
    least, most = min(shares.values()), max(shares.values())
    found = f"of the layer exactly, 3 gates for 4; of the whole models {(1 - most) * 100:.0f} to {(1 - least) * 100:.0f} % fewer"
    return found, "confirmed" if abs(least - 0.75) < 0.05 and abs(most - 0.75) < 0.05 else "not confirmed"


def faster(quotients):
    """Confirmed if the LSTM took longer in every round of every case; within the spread if its rounds lie on both sides of 1."""
    if not quotients:
        return "not measured yet", "not decided"
    least, most = min(q[0] for q in quotients), max(q[0] for q in quotients)
    found = f"at equal H an LSTM takes {least:.2f} to {most:.2f} times as long"
    if all(low > 1 for _, low, _ in quotients):
        return found, "confirmed"
    slower = sum(high < 1 for _, _, high in quotients)
    return found, "not confirmed" if slower else "within the spread"


def mostly(outcomes, wanted):
    """Confirmed if more than half of the comparisons have the wanted outcome; where that is to be better, within the spread if most are."""
    single, outcomes = ([one for one in outcomes if (one[3] in OUTCOMES) == known] for known in [False, True])
    if not outcomes:
        return one_seed(single), "not decided: one seed"
    counts = {name: sum(one[3] == name for one in outcomes) for name in OUTCOMES}
    found = f"of {len(outcomes)} comparisons: {counts['better']} GRU better, {counts['worse']} LSTM better, {counts['within the spread']} within the spread"
    if counts[wanted] * 2 > len(outcomes):
        return found, "confirmed"
    return found, "within the spread" if wanted == "better" and counts["within the spread"] * 2 > len(outcomes) else "not confirmed"


def one_seed(comparisons):
    """The LSTM's figures divided by the GRU's, where there is no spread to compare them with."""
    quotients = []
    for task, data, match, _ in comparisons:
        cells = trainings()[task, data]
        gru, lstm = (figures(cells[column])[0] for column in [("gru", "H"), ("lstm", match)])
        if max(gru, lstm) < float("inf"):
            quotients.append(lstm / gru)
    less = sum(one > 1 for one in quotients)
    return f"{len(quotients)} comparisons of one seed: the LSTM's figure is {min(quotients):.2f} to {max(quotients):.2f} times the GRU's, and larger in {less}"


def on_long():
    """One seed has no spread, so it cannot confirm that a cell is better; that it is not, it can show."""
    cells = trainings().get((LONG, "all"), {})
    if ("gru", "H") not in cells or ("lstm", "H") not in cells:
        return "not trained, so far", "not decided"
    gru, lstm = (cells[cell, "H"] for cell in ["gru", "lstm"])
    found = f"T 1,000: GRU {written(gru)}, LSTM {written(lstm)}"
    if min(figures(gru) + figures(lstm)) == float("inf"):
        return found, "not decided"
    return found, "not confirmed" if figures(gru) <= figures(lstm) else "not decided: one seed"


TABLES = {
    "cells-errors": errors,
    "cells-beside-lstm": beside_lstm,
    "cells-training-steps": training_steps,
    "cells-inference": inference,
    "cells-verdicts": verdicts,
}
