//! Tells the library's text that it is built for loom. A flag of a build script applies to this package alone, so its
//! dependencies are built once, with and without loom.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The library tests for these features, which this package does not have.
    println!(r#"cargo::rustc-check-cfg=cfg(feature, values("gpu", "onnx", "keras", "unstable"))"#);
    if std::env::var_os("CARGO_FEATURE_LOOM").is_some() {
        println!("cargo::rustc-cfg=wgru_loom");
    }
}
