//! The picture of a forecast, as SVG.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The contents of a picture.
pub struct Forecast<'a> {
    /// Its title.
    pub title: String,
    /// A line below it.
    pub subtitle: String,
    /// The name of the value axis.
    pub unit: &'a str,
    /// The time of every row, in years.
    pub years: Vec<f64>,
    /// The value of every row.
    pub truth: &'a [f64],
    /// A row, and the values forecast for the rows after it.
    pub forecasts: Vec<(usize, Vec<f64>)>,
    /// The first row in the picture.
    pub from: usize,
}

const SIZE: (u32, u32) = (1000, 520);
const INK: RGBColor = RGBColor(0x33, 0x33, 0x3a);
const FAINT: RGBColor = RGBColor(0xe4, 0xe4, 0xe8);
const TRUTH: RGBColor = RGBColor(0x88, 0x8c, 0x94);
const MODEL: RGBColor = RGBColor(0xd1, 0x49, 0x1f);

/// Draws it.
///
/// # Errors
/// The error of the plotting library.
pub fn forecast(picture: &Forecast<'_>) -> Result<String, String> {
    let mut svg = String::new();
    draw(picture, &mut svg).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(picture: &Forecast<'_>, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let rows = picture.from..picture.truth.len();
    let ahead = picture.forecasts.iter().flat_map(|(_, values)| values);
    let values = picture.truth[rows.clone()].iter().chain(ahead);
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    let margin = (high - low).max(1e-9) * 0.06;
    let times = picture.years[rows.start].floor()..picture.years[rows.end - 1].ceil();

    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let text = |size: u32| ("sans-serif", size).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Top));
    root.draw(&Text::new(picture.title.as_str(), (24, 18), text(21)))?;
    root.draw(&Text::new(picture.subtitle.as_str(), (24, 48), text(14)))?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .margin_top(78)
        .x_label_area_size(36)
        .y_label_area_size(58)
        .build_cartesian_2d(times, low - margin..high + margin)?;
    chart
        .configure_mesh()
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(("sans-serif", 14).into_font().color(&INK))
        .x_labels(12)
        .x_label_formatter(&|year| format!("{year:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .y_desc(picture.unit)
        .draw()?;

    let point = |row: usize, value: f64| (picture.years[row], value);
    let truth = rows.map(|row| point(row, picture.truth[row]));
    chart
        .draw_series(LineSeries::new(truth, TRUTH.stroke_width(5)))?
        .label("measured")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 22, y)], TRUTH.stroke_width(5)));
    for (index, (e, values)) in picture.forecasts.iter().enumerate() {
        let line = values.iter().enumerate().map(|(h, &value)| point(e + 1 + h, value));
        let series = chart.draw_series(LineSeries::new(line, MODEL.stroke_width(2)))?;
        if index == 0 {
            series
                .label("forecast")
                .legend(|(x, y)| PathElement::new([(x, y), (x + 22, y)], MODEL.stroke_width(2)));
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(FAINT)
        .label_font(("sans-serif", 14).into_font().color(&INK))
        .draw()?;
    root.present()?;
    Ok(())
}
