// The functions of softmax, beside activation.wgsl, which every other kernel includes. Clamped as there, with NaN restored.

// eˣ for x that is at most 0; exactly 0 where it is below f32.
fn power(x: Rows) -> Rows {
    return or_nan(select(exp(clamp(x, Rows(-87.0), Rows(0.0))), Rows(0.0), x < Rows(-87.0)), x);
}

// ln x.
fn logarithm(x: Rows) -> Rows {
    return or_nan(log(x), x);
}
