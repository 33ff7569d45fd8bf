//! Shared by the charts: the canvas, text, markers, logarithmic axes.
//!
//! A chart has two units for each pixel of the page, because `plotters` rounds to whole units. It is 800 units wide,
//! the width of a phone; the page scales it to its column.

use plotters::coord::Shift;
use plotters::coord::combinators::WithKeyPoints;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::palette::{FAINT, INK, MUTED, series};
use crate::number::tick;

/// The width of every chart.
pub const WIDTH: u32 = 800;
/// The height of a line of text.
pub const TEXT: u32 = 30;

/// Where a chart is drawn.
pub type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What drawing returns.
pub type Drawn<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A chart as an element of the page; `label` says in words what it shows.
///
/// # Errors
/// The error of the plotting library.
pub fn svg(height: u32, label: &str, draw: impl FnOnce(&Canvas<'_>) -> Drawn) -> Result<String, String> {
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw(&canvas).and_then(|()| Ok(canvas.present()?)).map_err(|error| error.to_string())?;
    }
    let head = format!("<svg role=\"img\" aria-label=\"{}\" ", super::escape(label));
    Ok(svg.replacen("<svg ", &head, 1))
}

/// The position of text relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The text begins there.
    Left,
    /// Its middle is there.
    Middle,
    /// It ends there.
    Right,
}

/// Writes text at the middle of its height.
pub fn text(
    canvas: &Canvas<'_>,
    words: &str,
    at: (i32, i32),
    anchor: Anchor,
    colour: RGBColor,
    bold: bool,
) -> Drawn {
    let h = match anchor {
        Anchor::Left => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::Right => HPos::Right,
    };
    let weight = if bold { FontStyle::Bold } else { FontStyle::Normal };
    let font = FontDesc::new(FontFamily::SansSerif, f64::from(TEXT), weight);
    // No control character may stand in an SVG, escaped or not.
    let words = words.replace(char::is_control, " ");
    canvas.draw(&Text::new(words, at, font.color(&colour).pos(Pos::new(h, VPos::Center))))?;
    Ok(())
}

/// Draws the marker of a series, so that series differ in more than their colour.
pub fn marker(canvas: &Canvas<'_>, (x, y): (i32, i32), index: usize) -> Drawn {
    let style = series(index).filled();
    let corners: &[(i32, i32)] = match index % 5 {
        1 => &[(-8, -8), (8, -8), (8, 8), (-8, 8)],
        2 => &[(0, -10), (10, 8), (-10, 8)],
        3 => &[(0, -11), (11, 0), (0, 11), (-11, 0)],
        4 => &[(0, 10), (10, -8), (-10, -8)],
        _ => {
            canvas.draw(&Circle::new((x, y), 9, style))?;
            return Ok(());
        }
    };
    let corners: Vec<_> = corners.iter().map(|&(dx, dy)| (x + dx, y + dy)).collect();
    canvas.draw(&Polygon::new(corners, style))?;
    Ok(())
}

/// A logarithmic axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Its marks.
    ticks: Vec<f64>,
    /// The label of a mark.
    pub words: fn(f64) -> String,
}

fn ends(values: impl Iterator<Item = f64>, room: f64) -> (f64, f64) {
    let (low, high) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(l, h), v| (l.min(v), h.max(v)));
    (low.min(high) / room, high * room)
}

impl Axis {
    /// An axis for positive values that extends by at least the factor `room` at both ends. Its marks are powers of
    /// ten. If these are few, there are marks between them and the axis ends at marks, so it has at least two.
    pub fn around(values: impl Iterator<Item = f64>, room: f64) -> Self {
        let (mut low, mut high) = ends(values, room);
        let decades = (high / low).log10();
        let steps: &[f64] = match decades {
            ..1.3 => &[1.0, 2.0, 5.0],
            ..2.2 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let every = (decades / 6.0).ceil().max(1.0) as i32;
        let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let powers = powers.filter(|power| power.rem_euclid(every) == 0);
        let marks: Vec<f64> =
            powers.flat_map(|p| steps.iter().map(move |step| step * 10f64.powi(p))).collect();
        if steps.len() > 1 {
            low = marks.iter().copied().filter(|&mark| mark <= low).fold(low / 10.0, f64::max);
            high = marks.iter().copied().filter(|&mark| mark >= high).fold(high * 10.0, f64::min);
        }
        let ticks = marks.into_iter().filter(|mark| (low..=high).contains(mark)).collect();
        Self { low, high, ticks, words: |value| tick(value, "") }
    }

    /// An axis with marks at the sizes themselves, which are in ascending order; marks whose labels would touch are
    /// left out.
    pub fn of_sizes(sizes: &[usize]) -> Self {
        const APART: f64 = 0.11;
        let values = || sizes.iter().map(|&size| size as f64);
        let (low, high) = ends(values(), 1.25);
        let mut ticks: Vec<f64> = Vec::new();
        for value in values() {
            if ticks.last().is_none_or(|last| (value / last).ln() > APART * (high / low).ln()) {
                ticks.push(value);
            }
        }
        Self { low, high, ticks, words: |value| format!("{value}") }
    }

    /// The same axis, of times in seconds: `5 ms`.
    pub fn of_times(self) -> Self {
        Self { words: |value| tick(value, "s"), ..self }
    }

    /// The axis in the plotting library's form.
    pub fn log(&self) -> Log {
        (self.low..self.high).log_scale().with_key_points(self.ticks.clone())
    }
}

/// A logarithmic axis of the plotting library.
pub type Log = WithKeyPoints<LogCoord<f64>>;
/// A chart whose x axis is logarithmic.
pub type Chart<'a, 'b, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Log, Y>>;

/// Starts a chart with two logarithmic axes: grid, marks, names.
pub fn log_log<'a, 'b>(
    canvas: &'a Canvas<'b>,
    (x, x_name): (&Axis, &str),
    (y, y_name): (&Axis, &str),
) -> Drawn<Chart<'a, 'b, Log>> {
    let mut chart = ChartBuilder::on(canvas)
        .margin_right(36)
        .margin_top(16)
        .x_label_area_size(92)
        .y_label_area_size(140)
        .build_cartesian_2d(x.log(), y.log())?;
    chart
        .configure_mesh()
        .bold_line_style(FAINT.stroke_width(2))
        .axis_style(MUTED.stroke_width(2))
        .label_style(font(INK))
        .axis_desc_style(font(MUTED))
        .x_desc(x_name)
        .y_desc(y_name)
        .x_label_formatter(&|value| (x.words)(*value))
        .y_label_formatter(&|value| (y.words)(*value))
        .draw()?;
    Ok(chart)
}

/// The font of marks and names.
pub fn font(colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", TEXT).into_font().color(&colour)
}

/// Draws a line through pixels.
pub fn line(canvas: &Canvas<'_>, through: &[(i32, i32)], colour: RGBColor, width: u32) -> Drawn {
    canvas.draw(&PathElement::new(through, colour.stroke_width(width)))?;
    Ok(())
}
