/**
 * The CPU path with relaxed SIMD: faster, and its bits differ between machines, since products are rounded before they are added or not, as
 * the processor does it faster. `init` refuses by name where `hasRelaxedSimd()` is false.
 */
export * from "./index.js";
