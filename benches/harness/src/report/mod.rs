//! The report of a benchmark: one HTML page with its charts inside, which loads nothing and needs no network.
//!
//! All text from records is escaped. Charts are SVG by `plotters`, with colours that follow the theme of the page
//! (`palette`). They are as wide as a phone; a wide window shows several side by side.

mod chart;
mod curves;
mod facts;
mod lanes;
mod palette;
mod rows;
pub mod sample;
mod table;
#[cfg(test)]
mod tests;

use crate::number::{count, percent, si, together};
use crate::record::{Record, Timed};
use lanes::{Cases, Device, Lane, Size, positive};
use rows::{Group, Mark, Rows, Shape};

/// The report of `records`, as a self-contained page.
///
/// # Errors
/// No record, or the error of the plotting library.
pub fn html(records: &[Record]) -> Result<String, String> {
    if records.is_empty() {
        return Err("no record to report".to_owned());
    }
    let cases = Cases::of(records);
    let devices = lanes::devices(records);
    let mut body = facts::facts(records);
    let mut links = String::new();
    for (index, device) in devices.iter().enumerate() {
        let (id, name) = (format!("device-{}", index + 1), escape(device.name));
        links += &format!("<li><a href=\"#{id}\">{name}</a></li>");
        body += &format!("<section id=\"{id}\"><h2>{name}</h2>{}</section>\n", section(device, &cases)?);
    }
    let beside = beside(records, &cases)?;
    if !beside.is_empty() {
        links += "<li><a href=\"#beside\">Side by side</a></li>";
        body += &format!("<section id=\"beside\"><h2>Side by side</h2>{beside}</section>\n");
    }
    links += "<li><a href=\"#records\">All records</a></li>";
    body += &table::table(records, &cases);
    Ok(page(&links, &body))
}

/// The page may load nothing; its content security policy tells the browser so.
fn page(links: &str, body: &str) -> String {
    let (theme, style, script) = (palette::css(), include_str!("page.css"), include_str!("page.js"));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>wgru benchmark</title>\n<style>\n{theme}{style}</style>\n</head>\n<body>\n\
         <header><h1>wgru benchmark</h1><button id=\"theme\" type=\"button\" hidden>Theme</button></header>\n\
         <nav aria-label=\"Contents\"><ul>{links}</ul></nav>\n<main>\n{body}</main>\n<script>\n{script}</script>\n\
         </body>\n</html>\n"
    )
}

/// Text escaped for elements and attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // HTML and SVG allow no other control characters.
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A chart with its title and a sentence on how to read it.
fn figure(title: &str, note: &str, chart: &str) -> String {
    format!("<figure><figcaption><h3>{title}</h3><p>{note}</p></figcaption>{chart}</figure>\n")
}

/// The legend of a chart's letters and markers.
fn legend<'a>(entries: impl Iterator<Item = (usize, &'a str, &'a str)>) -> String {
    const MARKERS: [&str; 5] = ["●", "■", "▲", "◆", "▼"];
    let item = |(index, tag, name): (usize, &str, &str)| {
        let (class, marker) = (palette::class(index), MARKERS[index % MARKERS.len()]);
        format!("<li><span class=\"{class}\">{marker}</span> <b>{tag}</b> {}</li>", escape(name))
    };
    format!("<ul class=\"legend\">{}</ul>", entries.map(item).collect::<String>())
}

fn lane_legend(lanes: &[Lane<'_>]) -> String {
    legend(lanes.iter().map(|lane| (lane.colour, lane.tag.as_str(), lane.name.as_str())))
}

/// The charts of one device.
fn section(device: &Device<'_>, cases: &Cases<'_>) -> Result<String, String> {
    let mut figures = throughput(device, cases)?;
    for (timed, title, note) in [
        (Timed::Step, "Latency of a step", "A session's step, results read back."),
        (
            Timed::Tick,
            "Latency of a tick",
            "A pool's tick in real time, from the due time of its oldest frame.",
        ),
        (Timed::EndToEnd, "End to end", "From host memory to host memory."),
        (Timed::Prepare, "Preparation", "From the bytes of a weights file to the first run."),
    ] {
        figures += &latency(device, cases, timed, title, note)?;
    }
    for (size, title, x_name) in [
        (Size::Batch, "Throughput over batch", "sequences a batch, log scale"),
        (Size::Hidden, "Throughput over hidden size", "hidden size, log scale"),
    ] {
        figures += &scaling(device, size, title, x_name)?;
    }
    if let Some(chart) = curves::roofline(device, cases)? {
        let note = "A case's number is at its fastest point; lines are the best copy and the best matmul measured here, which a point above \
                    them beat. Bytes \
                    are all that the run holds on the device, each counted once: the least traffic there can be, so \
                    that a point may truly stand further left.";
        figures += &figure("Roofline", note, &chart);
    }
    if figures.is_empty() {
        return Ok("<p>No record has a time that can be drawn.</p>".to_owned());
    }
    Ok(format!("{}<div class=\"columns\">\n{figures}</div>", lane_legend(&device.lanes)))
}

fn throughput(device: &Device<'_>, cases: &Cases<'_>) -> Result<String, String> {
    let groups: Vec<Group> = cases.0.iter().filter_map(|case| group(&device.lanes, case, cases)).collect();
    if groups.is_empty() {
        return Ok(String::new());
    }
    let axis = Rows::scale(groups.iter());
    let label = format!("Throughput of {} by case, in operations a second", device.name);
    let rows = Rows { label, axis: "FLOP/s, log scale", groups };
    let note = "Sequences that are on the device. The thin track ends at the device's best matmul, of which the share \
                is; the scale is logarithmic.";
    Ok(figure("Throughput by case", note, &rows.svg(&axis)?))
}

/// The bars of a case, one for each lane that has it.
fn group(lanes: &[Lane<'_>], case: &str, cases: &Cases<'_>) -> Option<Group> {
    let bar = |lane: &Lane<'_>| {
        let record = lane.find(Timed::Sequence, case).filter(|record| positive(record.gflops))?;
        let share = record.share_of_peak().map_or_else(String::new, |share| format!(" · {}", percent(share)));
        let peak = record.peak_gflops.filter(|&peak| positive(peak)).map(|peak| peak * 1e9);
        Some(Mark {
            tag: lane.tag.clone(),
            colour: lane.colour,
            shape: Shape::Bar { value: record.gflops * 1e9, peak },
            number: format!("{}{}{share}", about(record), si(record.gflops * 1e9, "FLOP/s")),
        })
    };
    let marks: Vec<Mark> = lanes.iter().filter_map(bar).collect();
    (!marks.is_empty()).then(|| Group { head: head(case, cases), marks })
}

/// A sign before a noisy figure.
fn about(record: &Record) -> &'static str {
    if record.is_noisy() { "≈ " } else { "" }
}

fn head(case: &str, cases: &Cases<'_>) -> String {
    format!("{} · {case}", cases.number(case))
}

fn latency(
    device: &Device<'_>,
    cases: &Cases<'_>,
    timed: Timed,
    title: &str,
    note: &str,
) -> Result<String, String> {
    let whisker = |lane: &Lane<'_>, case: &str| {
        let record = lane.find(timed, case)?;
        let times = [record.median_s, record.p95_s, record.p99_s]
            .map(|t| if positive(t) { t } else { record.median_s });
        let (tag, colour) = (lane.tag.clone(), lane.colour);
        Some((
            record.batch,
            Mark {
                tag,
                colour,
                shape: Shape::Whisker(times),
                number: format!("{}{}", about(record), together(&times, "s")),
            },
        ))
    };
    let by_streams = matches!(timed, Timed::Step | Timed::Tick);
    let mut groups: Vec<(usize, Group)> = Vec::new();
    for case in &cases.0 {
        let found: Vec<(usize, Mark)> = device.lanes.iter().filter_map(|lane| whisker(lane, case)).collect();
        let Some(&(streams, _)) = found.first() else { continue };
        let mut words = head(case, cases);
        if by_streams {
            words += &format!(" · {}", count(streams, "stream"));
        }
        let marks = found.into_iter().map(|(_, mark)| mark).collect();
        groups.push((streams, Group { head: words, marks }));
    }
    if groups.is_empty() {
        return Ok(String::new());
    }
    if by_streams {
        groups.sort_by_key(|&(streams, _)| streams);
    }
    let groups: Vec<Group> = groups.into_iter().map(|(_, group)| group).collect();
    let axis = Rows::scale(groups.iter()).of_times();
    let label = format!("{title} on {}: median, 95th and 99th percentile", device.name);
    let rows = Rows { label, axis: "time, log scale", groups };
    let note = format!("{note} The dot is the median, the ticks are p95 and p99; so are the three numbers.");
    Ok(figure(title, &note, &rows.svg(&axis)?))
}

fn scaling(device: &Device<'_>, size: Size, title: &str, x_name: &str) -> Result<String, String> {
    let mut curves = Vec::new();
    let mut names = Vec::new();
    for lane in &device.lanes {
        for curve in lanes::scaling(lane, size) {
            // Lower-case letters: the upper-case ones are the lanes'.
            let tag = lanes::tag(curves.len()).to_lowercase();
            names.push(if device.lanes.len() > 1 {
                format!("{} · {}", curve.name, lane.name)
            } else {
                curve.name.clone()
            });
            curves.push((tag, curve));
        }
    }
    if curves.is_empty() {
        return Ok(String::new());
    }
    let label = format!("{title} on {}", device.name);
    let chart = curves::scaling(&label, x_name, &curves)?;
    let entries = curves.iter().zip(&names).enumerate();
    let legend = legend(entries.map(|(index, ((tag, _), name))| (index, tag.as_str(), name.as_str())));
    Ok(figure(title, "Cases that differ only in the size that * stands for.", &(legend + &chart)))
}

/// A small chart for each case with all devices and engines on one axis; empty if there is only one of them.
fn beside(records: &[Record], cases: &Cases<'_>) -> Result<String, String> {
    let lanes = lanes::side_by_side(records);
    let groups: Vec<Group> = cases.0.iter().filter_map(|case| group(&lanes, case, cases)).collect();
    if lanes.len() < 2 || groups.is_empty() {
        return Ok(String::new());
    }
    let axis = Rows::scale(groups.iter());
    let mut figures = String::new();
    for group in groups {
        let label = format!("Throughput of every device in case {}", group.head);
        let rows = Rows { label, axis: "", groups: vec![group] };
        figures += &format!("<figure>{}</figure>\n", rows.svg(&axis)?);
    }
    let note = "Sequences that are on the device, in FLOP/s; all charts have one axis, which is logarithmic.";
    let legend = lane_legend(&lanes);
    Ok(format!("<p class=\"note\">{note}</p>{legend}<div class=\"grid\">\n{figures}</div>"))
}
