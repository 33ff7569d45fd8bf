//! Says to the library's text that it is built for loom. A flag of a build script reaches this package alone, so that everything it
//! needs is built once, with and without loom.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The library asks for these, and does not have them here.
    println!(r#"cargo::rustc-check-cfg=cfg(feature, values("gpu", "onnx", "keras", "unstable"))"#);
    if std::env::var_os("CARGO_FEATURE_LOOM").is_some() {
        println!("cargo::rustc-cfg=wgru_loom");
    }
}
