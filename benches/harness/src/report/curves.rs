//! Charts with two logarithmic axes: scaling curves, and the position of every case under the roofline.

use super::chart::{Anchor, Axis, Canvas, Drawn, TEXT, WIDTH, line, log_log, marker, svg, text};
use super::lanes::{Cases, Device, Scaling, positive};
use super::palette::{INK, MUTED, series};
use crate::record::{Record, Timed};

/// Throughput over a size; `curves` come with their tags.
///
/// # Errors
/// The error of the plotting library.
pub fn scaling(label: &str, x_name: &str, curves: &[(String, Scaling<'_>)]) -> Result<String, String> {
    let points = || curves.iter().flat_map(|(_, curve)| &curve.points);
    let mut sizes: Vec<usize> = points().map(|&(size, _)| size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let x = Axis::of_sizes(&sizes);
    let y = Axis::around(points().map(|(_, record)| record.gflops * 1e9), 1.15);
    svg(560, label, |canvas| {
        let chart = log_log(canvas, (&x, x_name), (&y, "FLOP/s, log scale"))?;
        let mut ends = Vec::new();
        for (index, (tag, curve)) in curves.iter().enumerate() {
            let at =
                |&(size, record): &(usize, &Record)| chart.backend_coord(&(size as f64, record.gflops * 1e9));
            let pixels: Vec<_> = curve.points.iter().map(at).collect();
            line(canvas, &pixels, series(index), 5)?;
            for &pixel in &pixels {
                marker(canvas, pixel, index)?;
            }
            ends.extend(pixels.last().map(|&end| (end, tag)));
        }
        // From the top, each below the previous one where they would touch.
        ends.sort_by_key(|&((_, y), _)| y);
        let mut free = 0;
        for ((x, y), tag) in ends {
            let y = y.max(free);
            text(canvas, tag, (x + 26, y), Anchor::Middle, INK, true)?;
            free = y + TEXT as i32 * 4 / 5;
        }
        Ok(())
    })
}

/// A case under the roof.
struct Point {
    number: usize,
    lane: usize,
    intensity: f64,
    flops: f64,
}

/// The measured limits of a device.
struct Roof {
    /// Bytes a second.
    copy: Option<f64>,
    /// Operations a second.
    matmul: Option<f64>,
}

/// A device's sequences under the limits of its copy and its matmul; `None` if no case can be placed.
///
/// # Errors
/// The error of the plotting library.
pub fn roofline(device: &Device<'_>, cases: &Cases<'_>) -> Result<Option<String>, String> {
    let points = points(device, cases);
    if points.is_empty() {
        return Ok(None);
    }
    let roof = Roof::of(device);
    let x = Axis::around(points.iter().map(|p| p.intensity).chain(roof.bend()), 1.6);
    let left = roof.copy.map(|copy| copy * x.low).filter(|&low| roof.matmul.is_none_or(|top| low < top));
    let y = Axis::around(points.iter().map(|p| p.flops).chain(roof.matmul).chain(left), 1.6);
    let label = format!("Roofline of {}: operations a second over operations a byte", device.name);
    svg(720, &label, |canvas| {
        let chart = log_log(canvas, (&x, "FLOP per byte, log scale"), (&y, "FLOP/s, log scale"))?;
        let pixel = |x: f64, y: f64| chart.backend_coord(&(x, y));
        roof.draw(canvas, (&x, &y), &pixel)?;
        let mut taken = Taken::default();
        let spots: Vec<_> = points.iter().map(|p| pixel(p.intensity, p.flops)).collect();
        spots.iter().for_each(|&spot| taken.avoid(spot));
        for (point, &spot) in points.iter().zip(&spots) {
            marker(canvas, spot, point.lane)?;
        }
        for (spot, numbers) in labels(&points, &spots) {
            text(canvas, &numbers, taken.place(spot, &numbers), Anchor::Middle, INK, true)?;
        }
        Ok(())
    })
    .map(Some)
}

fn points(device: &Device<'_>, cases: &Cases<'_>) -> Vec<Point> {
    let of = |lane: usize, record: &Record| {
        let flops = record.gflops * 1e9;
        let intensity = flops * record.median_s / record.bytes as f64;
        Point { number: cases.number(&record.case), lane, intensity, flops }
    };
    let lanes = device.lanes.iter();
    let points =
        lanes.flat_map(|lane| lane.timed(Timed::Sequence).map(move |record| of(lane.colour, record)));
    points.filter(|point| positive(point.flops) && positive(point.intensity)).collect()
}

impl Roof {
    /// The best peaks in the device's records.
    fn of(device: &Device<'_>) -> Self {
        let records = || device.lanes.iter().flat_map(|lane| &lane.records);
        let best = |values: &mut dyn Iterator<Item = f64>| values.filter(|&v| positive(v)).reduce(f64::max);
        let copy = best(&mut records().filter_map(|record| record.peak_gbs));
        let matmul = best(&mut records().filter_map(|record| record.peak_gflops));
        Self { copy: copy.map(|gbs| gbs * 1e9), matmul: matmul.map(|gflops| gflops * 1e9) }
    }

    /// The intensity where the two meet.
    fn bend(&self) -> Option<f64> {
        Some(self.matmul? / self.copy?)
    }

    fn draw(
        &self,
        canvas: &Canvas<'_>,
        (x, y): (&Axis, &Axis),
        pixel: &dyn Fn(f64, f64) -> (i32, i32),
    ) -> Drawn {
        if let Some(copy) = self.copy {
            let end = self.bend().unwrap_or(x.high).clamp(x.low, x.high).min(y.high / copy);
            let start = (y.low / copy).max(x.low);
            let (start, end) = (pixel(start, copy * start), pixel(end, copy * end));
            line(canvas, &[start, end], INK, 4)?;
            let middle = ((start.0 + end.0) / 2, (start.1 + end.1) / 2);
            text(canvas, "copy", (middle.0 + 16, middle.1 + 20), Anchor::Left, MUTED, false)?;
        }
        if let Some(matmul) = self.matmul {
            let (start, end) =
                (pixel(self.bend().unwrap_or(x.low).max(x.low), matmul), pixel(x.high, matmul));
            line(canvas, &[start, end], INK, 4)?;
            text(canvas, "matmul", (end.0 - 4, end.1 - 20), Anchor::Right, MUTED, false)?;
        }
        Ok(())
    }
}

/// The numbers of cases and their points. The points of one case are above each other, and the highest has its
/// number; cases that share a point share a label.
fn labels(points: &[Point], spots: &[(i32, i32)]) -> Vec<((i32, i32), String)> {
    const ONE_SPOT: i32 = 12;
    let mut highest: Vec<(&Point, (i32, i32))> = points.iter().zip(spots.iter().copied()).collect();
    highest.sort_by(|(a, _), (b, _)| a.number.cmp(&b.number).then(b.flops.total_cmp(&a.flops)));
    highest.dedup_by_key(|(point, _)| point.number);
    let mut labels: Vec<((i32, i32), String)> = Vec::new();
    for (point, spot) in highest {
        let near = |(x, y): (i32, i32)| (x - spot.0).abs() < ONE_SPOT && (y - spot.1).abs() < ONE_SPOT;
        match labels.iter_mut().find(|(of, _)| near(*of)) {
            Some((_, numbers)) => *numbers += &format!(", {}", point.number),
            None => labels.push((spot, point.number.to_string())),
        }
    }
    labels
}

/// Pixels that words would hide.
#[derive(Default)]
struct Taken(Vec<(i32, i32, i32)>);

impl Taken {
    /// Keeps words off a marker.
    fn avoid(&mut self, (x, y): (i32, i32)) {
        self.0.push((x, y, 10));
    }

    /// The middle of a short label beside a marker: the first free place around it, else the place to its left.
    fn place(&mut self, (x, y): (i32, i32), word: &str) -> (i32, i32) {
        let half = word.chars().count() as i32 * 8 + 2;
        let (side, tall) = (half + 14, TEXT as i32 * 3 / 4 + 6);
        let near =
            [(side, 0), (-side, 0), (0, -tall), (0, tall), (side, -tall), (-side, -tall), (side, tall)];
        let far = near.map(|(dx, dy)| (dx * 3 / 2, dy * 2));
        let touches = |&(px, py, reach): &(i32, i32, i32), (x, y): (i32, i32)| {
            (px - x).abs() < reach + half && (py - y).abs() < 10 + TEXT as i32 / 3
        };
        let inside = |(x, _): (i32, i32)| x - half > 0 && x + half < WIDTH as i32;
        let free = |spot: (i32, i32)| inside(spot) && !self.0.iter().any(|taken| touches(taken, spot));
        let mut spots = near.into_iter().chain(far).map(|(dx, dy)| (x + dx, y + dy));
        let spot = spots.find(|&spot| free(spot)).unwrap_or((x - side, y));
        self.0.push((spot.0, spot.1, half));
        spot
    }
}
