//! Descriptions of wrong outputs: numbers that are not finite, and numbers that differ from the reference.

use std::fmt;

use wgru::io::{OutputShape, RunShape};
use wgru::reference::{Comparison, Worst};
use wgru::{Layout, Output};

use crate::number::count;

/// The shape of an output array, with words for its dimensions.
pub struct Axes {
    array: &'static str,
    axes: &'static [&'static str],
    shape: Vec<usize>,
}

impl Axes {
    /// The shapes of all arrays of a run.
    pub fn of(shapes: &OutputShape, run_shape: RunShape) -> Vec<Self> {
        let sequence = |layout: Layout| match layout {
            Layout::BatchMajor => &["row", "step", "feature"][..],
            Layout::TimeMajor => &["step", "row", "feature"],
            Layout::DirectionMajor => &["step", "direction", "row", "feature"],
        };
        let state = &["state", "row", "feature"][..];
        let mut all = vec![
            Self { array: "y", axes: sequence(run_shape.y), shape: shapes.y.clone() },
            Self { array: "h_n", axes: state, shape: shapes.h.to_vec() },
        ];
        all.extend(shapes.c.map(|c| Self { array: "c_n", axes: state, shape: c.to_vec() }));
        all.extend(shapes.out.as_ref().map(|out| {
            let axes = match out.len() {
                2 => &["row", "feature"][..],
                _ if run_shape.y == Layout::BatchMajor => sequence(Layout::BatchMajor),
                _ => sequence(Layout::TimeMajor),
            };
            Self { array: "out", axes, shape: out.clone() }
        }));
        all
    }

    /// The position of a flat index, such as `[0, 57, 3] (row, step, feature)`; `rows` maps each row to its number in
    /// the batch, where these differ.
    fn place(&self, mut index: usize, rows: Option<&[usize]>) -> String {
        let mut place = Vec::new();
        for (&size, &axis) in self.shape.iter().zip(self.axes).rev() {
            let at = index % size.max(1);
            index /= size.max(1);
            let row = rows.filter(|_| axis == "row").and_then(|rows| rows.get(at));
            place.push(row.copied().unwrap_or(at));
        }
        place.reverse();
        format!("{place:?} ({})", self.axes.join(", "))
    }
}

/// The numbers of an array that are NaN or infinite, if there are any.
pub struct NotFinite {
    /// The array.
    pub array: &'static str,
    /// How many.
    pub count: usize,
    first: f32,
    place: String,
}

/// Those of each array of a run.
pub fn not_finite(all: &[Axes], output: &Output) -> Vec<NotFinite> {
    let of_array = |axes: &Axes| {
        let data = match axes.array {
            "y" => Some(&output.y),
            "h_n" => Some(&output.h_n),
            "c_n" => output.c_n.as_ref(),
            _ => output.out.as_ref(),
        }?;
        let index = data.iter().position(|value| !value.is_finite())?;
        let count = data[index..].iter().filter(|value| !value.is_finite()).count();
        Some(NotFinite { array: axes.array, count, first: data[index], place: axes.place(index, None) })
    };
    all.iter().filter_map(of_array).collect()
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { array, count, first, place } = self;
        let numbers = if *count == 1 { "number that is" } else { "numbers that are" };
        write!(f, "{array} holds {count} {numbers} not finite, first {first} at {place}: ")?;
        write!(f, "a sum has left the range of f32, 3.4e38")
    }
}

/// The description of a comparison that failed. `rows`: as for a position.
pub fn describe(comparison: &Comparison, all: &[Axes], rows: Option<&[usize]>) -> String {
    let Comparison { array, error, tolerance, worst } = comparison;
    let axes = all.iter().find(|axes| axes.array == *array);
    let (Some(Worst { index, expected, got, not_finite, finite }), Some(axes)) = (worst, axes) else {
        return format!("{array} is off by {error:.2e}, allowed {tolerance:.2e}");
    };
    let place = axes.place(*index, rows);
    if not_finite + finite == 0 {
        return format!(
            "{array} is off by {error:.2e}, allowed {tolerance:.2e}, at {place}: {got:?}, expected {expected:?}"
        );
    }
    let mut kinds = Vec::new();
    if *not_finite > 0 {
        kinds.push(format!("{} not finite where the reference is", count(*not_finite, "number")));
    }
    if *finite > 0 {
        kinds.push(format!(
            "{} finite where the reference is beyond f32, infinite or NaN",
            count(*finite, "number")
        ));
    }
    format!("{array} has {}; the first, at {place}, is {got:?}, expected {expected:?}", kinds.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgru::Dims;

    fn axes(y: Layout, shape: &[usize]) -> Vec<Axes> {
        let shapes = OutputShape { y: shape.to_vec(), h: [1, 2, 3], c: None, out: Some(vec![2, 4]) };
        Axes::of(&shapes, RunShape { y, ..Dims::new(2, 5).unwrap().into() })
    }

    #[test]
    fn a_place_is_told_in_every_layout() {
        let place = |y, shape: &[usize], index| axes(y, shape)[0].place(index, None);
        assert_eq!(place(Layout::BatchMajor, &[2, 5, 3], 22), "[1, 2, 1] (row, step, feature)");
        assert_eq!(place(Layout::TimeMajor, &[5, 2, 3], 22), "[3, 1, 1] (step, row, feature)");
        assert_eq!(
            place(Layout::DirectionMajor, &[5, 2, 2, 3], 59),
            "[4, 1, 1, 2] (step, direction, row, feature)"
        );
        let all = axes(Layout::BatchMajor, &[2, 5, 3]);
        assert_eq!(all[0].place(22, Some(&[0, 9])), "[9, 2, 1] (row, step, feature)");
        assert_eq!(all[2].place(6, None), "[1, 2] (row, feature)");
    }

    #[test]
    fn what_is_not_finite_is_counted_and_named() {
        let all = axes(Layout::BatchMajor, &[2, 5, 3]);
        let mut output = Output { y: vec![0.0; 30], h_n: vec![0.0; 6], c_n: None, out: Some(vec![0.0; 8]) };
        assert!(not_finite(&all, &output).is_empty());
        (output.y[22], output.y[29], output.h_n[5]) = (f32::INFINITY, f32::NAN, f32::NAN);
        let said: Vec<String> = not_finite(&all, &output).iter().map(NotFinite::to_string).collect();
        assert_eq!(said.len(), 2);
        assert!(
            said[0].starts_with("y holds 2 numbers that are not finite, first inf at [1, 2, 1] (row, "),
            "{said:?}"
        );
        assert!(
            said[1].starts_with("h_n holds 1 number that is not finite, first NaN at [0, 1, 2] (state, "),
            "{said:?}"
        );
    }

    #[test]
    fn a_failure_names_the_place_and_both_numbers() {
        let all = axes(Layout::BatchMajor, &[2, 5, 3]);
        let worst = Worst { index: 22, expected: 1.5, got: 2.5, not_finite: 0, finite: 0 };
        let off = Comparison { array: "y", error: 1.0, tolerance: 1e-6, worst: Some(worst) };
        let text = describe(&off, &all, None);
        assert_eq!(
            text,
            "y is off by 1.00e0, allowed 1.00e-6, at [1, 2, 1] (row, step, feature): 2.5, expected 1.5"
        );
        let worst = Worst { got: f32::NAN, not_finite: 3, finite: 1, ..worst };
        let text = describe(&Comparison { error: f64::INFINITY, worst: Some(worst), ..off }, &all, None);
        for words in
            ["y has 3 numbers not finite", " and 1 number finite where", "[1, 2, 1]", "is NaN, expected 1.5"]
        {
            assert!(text.contains(words), "{text}");
        }
    }
}
