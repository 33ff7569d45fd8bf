//! Charts of rows: a heading, and below it a bar or a whisker for each lane, with its number at the right.
//!
//! The names of cases are long and a phone is narrow, so names stand above the bars and not beside them. The axis is
//! logarithmic, because the cases of a suite are orders of magnitude apart.

use plotters::prelude::*;

use super::chart::{Anchor, Axis, Chart, Drawn, WIDTH, font, svg, text};
use super::palette::{FAINT, INK, MUTED, series};

const HEAD: i32 = 44;
const MARK: i32 = 36;
/// Space between groups.
const GAP: i32 = 10;
/// The space for tags and numbers at the sides.
const TAG: u32 = 44;
/// Half the width of the first mark's label.
const EDGE: u32 = 32;
const NUMBER: u32 = 272;
const FOOT: u32 = 92;
/// The same for an axis without a name.
const LOW_FOOT: u32 = 48;

/// A chart of rows.
pub struct Rows<'a> {
    /// A description of its content.
    pub label: String,
    /// The name of the axis; may be empty.
    pub axis: &'a str,
    /// Its groups, from the top.
    pub groups: Vec<Group>,
}

/// Rows under one heading.
pub struct Group {
    /// The heading.
    pub head: String,
    /// The rows.
    pub marks: Vec<Mark>,
}

/// One row.
pub struct Mark {
    /// The letter of its lane.
    pub tag: String,
    /// The index of its lane's colour.
    pub colour: usize,
    /// What is drawn.
    pub shape: Shape,
    /// The label beside it.
    pub number: String,
}

/// The shape drawn in a row.
pub enum Shape {
    /// A bar to `value`, on a track that ends at `peak`.
    Bar {
        /// Its end.
        value: f64,
        /// The end of its track.
        peak: Option<f64>,
    },
    /// A dot at the first, a tick at the second and at the third value.
    Whisker([f64; 3]),
}

impl Shape {
    fn values(&self) -> Vec<f64> {
        match *self {
            Self::Bar { value, peak } => peak.into_iter().chain([value]).collect(),
            Self::Whisker(values) => values.to_vec(),
        }
    }
}

impl Rows<'_> {
    /// The axis that all values fit on.
    pub fn scale<'a>(groups: impl Iterator<Item = &'a Group>) -> Axis {
        Axis::around(groups.flat_map(|group| &group.marks).flat_map(|mark| mark.shape.values()), 1.4)
    }

    /// The chart as an element of the page.
    ///
    /// # Errors
    /// The error of the plotting library.
    pub fn svg(&self, axis: &Axis) -> Result<String, String> {
        let height: i32 = self.groups.iter().map(Group::height).sum();
        // Tags are left out if all rows have the same one.
        let mut tags = self.groups.iter().flat_map(|group| &group.marks).map(|mark| &mark.tag);
        let first = tags.next();
        let left = if tags.any(|tag| Some(tag) != first) { TAG } else { EDGE };
        let foot = if self.axis.is_empty() { LOW_FOOT } else { FOOT };
        svg(height as u32 + foot, &self.label, |canvas| {
            let mut chart = ChartBuilder::on(canvas)
                .margin_left(left)
                .margin_right(NUMBER)
                .x_label_area_size(foot)
                .build_cartesian_2d(axis.log(), height..0)?;
            chart
                .configure_mesh()
                .disable_y_mesh()
                .disable_y_axis()
                .bold_line_style(FAINT.stroke_width(2))
                .axis_style(MUTED.stroke_width(2))
                .label_style(font(INK))
                .axis_desc_style(font(MUTED))
                .x_desc(self.axis)
                .x_label_formatter(&|value| (axis.words)(*value))
                .draw()?;
            let mut top = 0;
            for group in &self.groups {
                text(canvas, &group.head, (4, top + HEAD / 2 + 2), Anchor::Left, INK, true)?;
                for (row, mark) in (0..).zip(&group.marks) {
                    let middle = top + HEAD + row * MARK + MARK / 2;
                    mark.draw(&chart, axis, middle)?;
                    text(canvas, &mark.number, (WIDTH as i32 - 4, middle), Anchor::Right, INK, false)?;
                    if left == TAG {
                        text(canvas, &mark.tag, (6, middle), Anchor::Left, INK, true)?;
                    }
                }
                top += group.height();
            }
            Ok(())
        })
    }
}

impl Group {
    fn height(&self) -> i32 {
        HEAD + GAP + MARK * self.marks.len() as i32
    }
}

impl Mark {
    fn draw<Y: Ranged<ValueType = i32>>(&self, chart: &Chart<'_, '_, Y>, axis: &Axis, middle: i32) -> Drawn {
        let area = chart.plotting_area();
        let colour = series(self.colour);
        let bar = |end: f64, half: i32, colour: RGBColor| {
            area.draw(&Rectangle::new([(axis.low, middle - half), (end, middle + half)], colour.filled()))
        };
        match self.shape {
            Shape::Bar { value, peak } => {
                if let Some(peak) = peak {
                    bar(peak, 5, FAINT)?;
                }
                bar(value, 11, colour)?;
            }
            Shape::Whisker([dot, ticks @ ..]) => {
                let far = ticks.iter().copied().fold(dot, f64::max);
                area.draw(&PathElement::new([(dot, middle), (far, middle)], colour.stroke_width(4)))?;
                for value in ticks {
                    area.draw(&PathElement::new(
                        [(value, middle - 10), (value, middle + 10)],
                        colour.stroke_width(4),
                    ))?;
                }
                area.draw(&Circle::new((dot, middle), 9, colour.filled()))?;
            }
        }
        Ok(())
    }
}
