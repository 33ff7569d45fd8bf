// NaN and infinity. The only file that handles them in kernels.
//
// They come out as they come out of the reference: every function of NaN is NaN, of an infinity it is its limit, and a number
// that leaves the range of f32 is infinite from there on. WGSL does not promise that. A compiler may assume that neither
// occurs; max, min and clamp drop a NaN; a comparison may be turned round, and `x != x` may become false. So whatever passes through
// one of these is tested by its bits, as an integer, where no rule about floats applies.
//
// What is left to the driver is arithmetic: that +, ·, / and fma of NaN and infinities give what IEEE 754 says.
// tests/numbers/not_finite.rs tests every adapter of the machine. On a driver that does otherwise (a constant 0 times infinity taken for 0)
// `--verify` sees it, and outputs that hold NaN or infinity are named by `wgru run`.

fn is_nan(x: Rows) -> Mask {
    return (bitcast<Counts>(x) & Counts(0x7fffffffu)) > Counts(0x7f800000u);
}

// `y`, which was computed from x, but NaN where x is.
fn or_nan(y: Rows, x: Rows) -> Rows {
    return select(y, x, is_nan(x));
}

// x within -limit .. limit; NaN stays NaN.
fn bounded(x: Rows, limit: f32) -> Rows {
    return or_nan(clamp(x, Rows(-limit), Rows(limit)), x);
}

// x within f16's range, since what a conversion makes of numbers beyond it is left open; infinities and NaN as they are.
fn within_f16(x: Rows) -> Rows {
    let is_finite = (bitcast<Counts>(x) & Counts(0x7f800000u)) != Counts(0x7f800000u);
    return select(x, clamp(x, Rows(-65504.0), Rows(65504.0)), is_finite);
}
