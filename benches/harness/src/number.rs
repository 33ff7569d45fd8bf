//! Numbers as people read them: three digits and a unit.

pub use wgru::error::count;

/// Prefixes by the power of a thousand, from 10⁻⁹ on.
const PREFIXES: [&str; 9] = ["n", "µ", "m", "", "k", "M", "G", "T", "P"];
/// The place of the empty prefix.
const ONE: i32 = 3;

/// `value` with three digits: `1.23`, `12.3`, `123`.
pub fn three(value: f64) -> String {
    // Rounded first: 9.996 is 10.0 and not 10.00.
    let value = rounded(value);
    let decimals = (2 - magnitude(value)).clamp(0, 9) as usize;
    format!("{value:.decimals$}")
}

/// `value` with three digits, a prefix and a unit: `12.3 GFLOP/s`, `85.0 µs`.
pub fn si(value: f64, unit: &str) -> String {
    let (scaled, prefix) = scaled(value);
    format!("{}\u{a0}{prefix}{unit}", three(scaled))
}

/// The same without trailing zeros, for the marks of an axis: `10 G`, `0.5 m`.
pub fn tick(value: f64, unit: &str) -> String {
    let (scaled, prefix) = scaled(value);
    format!("{}\u{a0}{prefix}{unit}", rounded(scaled)).trim_end_matches('\u{a0}').to_owned()
}

/// Values that share the prefix of the first: `85.0 / 91.2 / 120 µs`.
pub fn together(values: &[f64], unit: &str) -> String {
    let first = values.first().copied().unwrap_or_default();
    let (_, prefix) = scaled(first);
    let factor = 1000f64.powi(power(first));
    let words: Vec<String> = values.iter().map(|value| three(value / factor)).collect();
    format!("{}\u{a0}{prefix}{unit}", words.join("\u{a0}/ "))
}

/// A share in per cent.
pub fn percent(share: f64) -> String {
    format!("{}\u{a0}%", three(share * 100.0))
}

fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// The power of ten of the first digit; 0 for zero.
fn magnitude(value: f64) -> i32 {
    if value == 0.0 || !value.is_finite() { 0 } else { value.abs().log10().floor() as i32 }
}

/// The power of a thousand of the prefix.
fn power(value: f64) -> i32 {
    magnitude(rounded(value)).div_euclid(3).clamp(-ONE, PREFIXES.len() as i32 - 1 - ONE)
}

fn scaled(value: f64) -> (f64, &'static str) {
    let power = power(value);
    (value / 1000f64.powi(power), PREFIXES[(power + ONE) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        assert_eq!(three(0.0), "0.00");
        assert_eq!(three(9.996), "10.0");
        assert_eq!(three(0.04567), "0.0457");
        assert_eq!(three(123_456.0), "123000");
        assert_eq!(si(8.5e-5, "s"), "85.0\u{a0}µs");
        assert_eq!(si(999.6e9, "FLOP/s"), "1.00\u{a0}TFLOP/s");
        assert_eq!(si(0.0, "B"), "0.00\u{a0}B");
        assert_eq!(si(1e30, "B"), "1000000000000000\u{a0}PB");
        assert_eq!(tick(2e10, ""), "20\u{a0}G");
        assert_eq!(tick(1.0, ""), "1");
        assert_eq!(together(&[9e-4, 1.2e-3], "s"), "900\u{a0}/ 1200\u{a0}µs");
        assert_eq!(percent(0.4567), "45.7\u{a0}%");
        assert_eq!((count(1, "thread"), count(2, "thread")), ("1 thread".into(), "2 threads".into()));
        assert_eq!(three(f64::NAN), "NaN");
    }
}
