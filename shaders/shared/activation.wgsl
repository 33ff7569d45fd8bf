// The activations, for `Rows` (one or four rows at once). The only ones in the crate's shaders.
//
// Arguments are clamped before `exp`, since a shader compiler may assume that infinities do not occur; past the clamp the
// limits 0, 1 and -1 are exact. NaN is restored at the end (not_finite.wgsl). No product here feeds a sum outside `fma`,
// so no driver has a choice in how to round.

// 1 / (1 + exp(-x)); absolute error at most 2e-7.
fn sigmoid(x: Rows) -> Rows {
    let e = exp(-clamp(x, Rows(-87.0), Rows(87.0)));
    return select(Rows(1.0) / (Rows(1.0) + e), Rows(0.0), x < Rows(-87.0));
}

// tanh as x·p(x²)/q(x²), a rational of degree 13/6 fitted on [-7.99, 7.99]; absolute error at most 4e-7.
fn tanh_rational(x: Rows) -> Rows {
    let a = clamp(x, Rows(-7.9988117), Rows(7.9988117));
    let s = a * a;
    var p = fma(s, Rows(-2.7607684e-16), Rows(2.000188e-13));
    p = fma(s, p, Rows(-8.604672e-11));
    p = fma(s, p, Rows(5.122297e-8));
    p = fma(s, p, Rows(1.48572235e-5));
    p = fma(s, p, Rows(6.3726195e-4));
    p = fma(s, p, Rows(4.8935246e-3));
    var q = fma(s, Rows(1.1982584e-6), Rows(1.1853471e-4));
    q = fma(s, q, Rows(2.2684347e-3));
    q = fma(s, q, Rows(4.893525e-3));
    let inner = clamp(a * p / q, Rows(-1.0), Rows(1.0));
    return select(inner, sign(x), abs(x) > Rows(9.0));
}

// The functions of `model::Function`, in its order, for arguments other than NaN. `function` is a pipeline constant wherever this is
// called, so what remains of it is one function.
fn of_number(function: u32, alpha: f32, beta: f32, x: Rows) -> Rows {
    let a = Rows(alpha);
    let b = Rows(beta);
    switch function {
        case 0u: { return sigmoid(x); }
        case 1u: { return tanh_rational(x); }
        case 2u: { return max(x, Rows(0.0)); }
        case 3u: { return fma(a, x, b); }
        case 4u: { return select(x, a * x, x < Rows(0.0)); }
        case 5u: { return select(Rows(0.0), x, x > a); }
        case 6u: { return a * tanh_rational(b * x); }
        case 7u: { return clamp(fma(a, x, b), Rows(0.0), Rows(1.0)); }
        case 8u: { return select(x, a * (exp(clamp(x, Rows(-87.0), Rows(0.0))) - Rows(1.0)), x < Rows(0.0)); }
        case 9u: { return x / (Rows(1.0) + abs(x)); }
        default: { return max(x, Rows(0.0)) + log(Rows(1.0) + exp(-min(abs(x), Rows(87.0)))); }
    }
}

fn activate(function: u32, alpha: f32, beta: f32, x: Rows) -> Rows {
    return or_nan(of_number(function, alpha, beta, x), x);
}
