//! Chips: cores, clocks, bandwidths and caches, from the makers' product pages and white papers. AMD's clocks are those
//! under games. Bandwidths of chips that share memory are those of its type and width. Further names in a row are of
//! chips that are like it; their numbers may differ by a third.

use super::architectures::*;
use super::{AMD, APPLE as OF_APPLE, ARM, Chip, INTEL, NVIDIA, QUALCOMM};

/// Cores, MHz, GB/s, KiB.
type Sizes = [u64; 4];

const fn of(
    vendor: u32,
    name: &'static str,
    called: &'static [&'static str],
    architecture: Architecture,
    sizes: Sizes,
) -> Chip {
    let [cores, clock, bandwidth, cache] = sizes;
    Chip { name, vendor, called, architecture, cores, clock, bandwidth, cache, integrated: false }
}

const fn nvidia(
    name: &'static str,
    called: &'static [&'static str],
    architecture: Architecture,
    sizes: Sizes,
) -> Chip {
    of(NVIDIA, name, called, architecture, sizes)
}

const fn amd(
    name: &'static str,
    called: &'static [&'static str],
    architecture: Architecture,
    sizes: Sizes,
) -> Chip {
    of(AMD, name, called, architecture, sizes)
}

const fn intel(
    name: &'static str,
    called: &'static [&'static str],
    architecture: Architecture,
    sizes: Sizes,
) -> Chip {
    of(INTEL, name, called, architecture, sizes)
}

/// Clocks and caches as in metal-benchmarks for M1 and M2; those of M2 Ultra, M3 and M4 are assumed.
const fn apple(name: &'static str, called: &'static [&'static str], sizes: Sizes) -> Chip {
    Chip { integrated: true, ..of(OF_APPLE, name, called, APPLE, sizes) }
}

/// Qualcomm publishes no numbers: those of Chips and Cheese, of Mesa, and of the press, which nothing confirms.
const fn qualcomm(name: &'static str, called: &'static [&'static str], sizes: Sizes) -> Chip {
    Chip { integrated: true, ..of(QUALCOMM, name, called, ADRENO, sizes) }
}

const fn shared(chip: Chip) -> Chip {
    Chip { integrated: true, ..chip }
}

/// All of them. Cores of AMD since RDNA are pairs of compute units.
pub const CHIPS: [Chip; 70] = [
    nvidia("GeForce GTX 1660", &["gtx 1660", "gtx 1660 ti", "gtx 1650"], TURING, [22, 1785, 192, 1536]),
    nvidia("GeForce RTX 2060", &["rtx 2060", "rtx 2070"], TURING, [30, 1680, 336, 3 << 10]),
    nvidia("GeForce RTX 2080 Ti", &["rtx 2080 ti", "rtx 2080"], TURING, [68, 1545, 616, 5632]),
    nvidia("T4", &["t4", "tesla t4"], TURING, [40, 1590, 320, 4 << 10]),
    nvidia("A100", &["a100"], AMPERE_A100, [108, 1410, 1935, 40 << 10]),
    nvidia("GeForce RTX 3060", &["rtx 3060", "rtx 3050"], AMPERE, [28, 1777, 360, 3 << 10]),
    nvidia("GeForce RTX 3070", &["rtx 3070", "rtx 3060 ti"], AMPERE, [46, 1725, 448, 4 << 10]),
    nvidia("GeForce RTX 3080", &["rtx 3080"], AMPERE, [68, 1710, 760, 5 << 10]),
    nvidia("GeForce RTX 3090", &["rtx 3090"], AMPERE, [82, 1695, 936, 6 << 10]),
    nvidia("A10", &["a10", "a10g"], AMPERE, [72, 1695, 600, 6 << 10]),
    nvidia("A40", &["a40", "rtx a6000"], AMPERE, [84, 1740, 696, 6 << 10]),
    nvidia("GeForce RTX 4060", &["rtx 4060"], ADA, [24, 2460, 272, 24 << 10]),
    nvidia("GeForce RTX 4070", &["rtx 4070"], ADA, [46, 2475, 504, 36 << 10]),
    nvidia("GeForce RTX 4080", &["rtx 4080", "rtx 4090 laptop"], ADA, [76, 2505, 717, 64 << 10]),
    nvidia("GeForce RTX 4090", &["rtx 4090"], ADA, [128, 2520, 1008, 72 << 10]),
    nvidia("L4", &["l4"], ADA, [58, 2040, 300, 48 << 10]),
    nvidia("L40S", &["l40s", "l40", "rtx 6000 ada"], ADA, [142, 2520, 864, 96 << 10]),
    nvidia("H100", &["h100", "gh200"], HOPPER, [132, 1980, 3350, 50 << 10]),
    nvidia("H200", &["h200"], HOPPER, [132, 1980, 4800, 50 << 10]),
    nvidia("GeForce RTX 5070", &["rtx 5070", "rtx 5060"], BLACKWELL, [48, 2512, 672, 48 << 10]),
    nvidia("GeForce RTX 5080", &["rtx 5080"], BLACKWELL, [84, 2617, 960, 64 << 10]),
    nvidia("GeForce RTX 5090", &["rtx 5090"], BLACKWELL, [170, 2407, 1792, 96 << 10]),
    amd("Radeon RX Vega 64", &["rx vega", "vega10", "vega 64"], GCN5, [64, 1546, 484, 4 << 10]),
    amd("Radeon VII", &["radeon vii", "vega20"], GCN5, [60, 1750, 1024, 4 << 10]),
    shared(amd(
        "Radeon Vega 8",
        &["renoir", "cezanne", "raven", "picasso", "lucienne"],
        GCN5,
        [8, 2000, 51, 1 << 10],
    )),
    amd("Instinct MI210", &["mi210", "mi250", "mi250x", "aldebaran"], CDNA2, [104, 1700, 1638, 8 << 10]),
    amd("Instinct MI300X", &["mi300x", "mi300a", "gfx942"], CDNA3, [304, 2100, 5300, 256 << 10]),
    amd("Radeon RX 5700 XT", &["rx 5700 xt", "rx 5700", "navi10"], RDNA1, [20, 1755, 448, 4 << 10]),
    amd("Radeon RX 5500 XT", &["rx 5500 xt", "rx 5500", "navi14"], RDNA1, [11, 1717, 224, 2 << 10]),
    amd("Radeon RX 6600", &["rx 6600", "navi23"], RDNA2, [14, 2044, 224, 32 << 10]),
    amd("Radeon RX 6700 XT", &["rx 6700 xt", "rx 6700", "navi22"], RDNA2, [20, 2424, 384, 96 << 10]),
    amd("Radeon RX 6800 XT", &["rx 6800 xt", "rx 6800"], RDNA2, [36, 2015, 512, 128 << 10]),
    amd("Radeon RX 6900 XT", &["rx 6900 xt", "rx 6950 xt", "navi21"], RDNA2, [40, 2015, 512, 128 << 10]),
    shared(amd("Radeon 680M", &["680m", "rembrandt"], RDNA2, [6, 2200, 102, 2 << 10])),
    shared(amd("Steam Deck", &["vangogh", "amd custom gpu 0405"], RDNA2, [4, 1600, 88, 1 << 10])),
    amd("Radeon RX 7600", &["rx 7600", "navi33"], RDNA3_SMALL, [16, 2250, 288, 32 << 10]),
    amd("Radeon RX 7800 XT", &["rx 7800 xt", "rx 7700 xt", "navi32"], RDNA3, [30, 2124, 624, 64 << 10]),
    amd("Radeon RX 7900 XT", &["rx 7900 xt", "rx 7900 gre"], RDNA3, [42, 2000, 800, 80 << 10]),
    amd("Radeon RX 7900 XTX", &["rx 7900 xtx", "navi31", "pro w7900"], RDNA3, [48, 2300, 960, 96 << 10]),
    shared(amd("Radeon 780M", &["780m", "phoenix", "hawk"], RDNA3_SMALL, [6, 2700, 102, 2 << 10])),
    shared(amd("Radeon 8060S", &["8060s", "strix halo"], RDNA3, [20, 2900, 256, 32 << 10])),
    amd("Radeon RX 9060 XT", &["rx 9060 xt", "gfx1200"], RDNA4, [16, 2530, 320, 32 << 10]),
    amd("Radeon RX 9070 XT", &["rx 9070 xt", "rx 9070", "gfx1201"], RDNA4, [32, 2400, 640, 64 << 10]),
    shared(intel("UHD Graphics 770", &["uhd graphics 770", "uhd graphics"], XE_LP, [2, 1550, 77, 1920])),
    shared(intel(
        "Iris Xe",
        &["iris r xe", "iris xe", "tgl gt2", "adl gt2", "rpl p"],
        XE_LP,
        [6, 1350, 68, 3840],
    )),
    shared(intel(
        "Arc Graphics (Meteor Lake)",
        &["mtl", "arc tm graphics", "arl"],
        XE_HPG,
        [8, 2250, 120, 4 << 10],
    )),
    shared(intel("Arc 140V (Lunar Lake)", &["lnl", "140v", "130v"], XE2, [8, 2050, 136, 8 << 10])),
    intel("Arc A380", &["a380", "a310"], XE_HPG, [8, 2000, 186, 4 << 10]),
    intel("Arc A750", &["a750", "a580"], XE_HPG, [28, 2050, 512, 16 << 10]),
    intel("Arc A770", &["a770", "dg2"], XE_HPG, [32, 2100, 560, 16 << 10]),
    intel("Arc B580", &["b580", "bmg"], XE2, [20, 2670, 456, 18 << 10]),
    apple("Apple M1", &["apple m1", "m1"], [8, 1278, 68, 8 << 10]),
    apple("Apple M1 Pro", &["apple m1 pro"], [16, 1296, 200, 24 << 10]),
    apple("Apple M1 Max", &["apple m1 max"], [32, 1296, 400, 48 << 10]),
    apple("Apple M1 Ultra", &["apple m1 ultra"], [64, 1296, 800, 96 << 10]),
    apple("Apple M2", &["apple m2"], [10, 1398, 100, 8 << 10]),
    apple("Apple M2 Pro", &["apple m2 pro"], [19, 1398, 200, 24 << 10]),
    apple("Apple M2 Max", &["apple m2 max"], [38, 1398, 400, 48 << 10]),
    apple("Apple M2 Ultra", &["apple m2 ultra"], [76, 1398, 800, 96 << 10]),
    apple("Apple M3", &["apple m3"], [10, 1400, 100, 8 << 10]),
    apple("Apple M3 Pro", &["apple m3 pro"], [18, 1400, 150, 12 << 10]),
    apple("Apple M3 Max", &["apple m3 max", "apple m3 ultra"], [40, 1400, 400, 48 << 10]),
    apple("Apple M4", &["apple m4"], [10, 1500, 120, 8 << 10]),
    apple("Apple M4 Pro", &["apple m4 pro"], [20, 1500, 273, 24 << 10]),
    apple("Apple M4 Max", &["apple m4 max"], [40, 1500, 546, 48 << 10]),
    qualcomm(
        "Adreno 650",
        &["adreno tm 650", "adreno tm 660", "adreno tm 640", "adreno tm 630"],
        [6, 670, 44, 3 << 10],
    ),
    qualcomm("Adreno 740", &["adreno tm 740", "adreno tm 730"], [12, 680, 67, 6 << 10]),
    qualcomm("Adreno 750", &["adreno tm 750", "adreno tm 830"], [12, 903, 77, 6 << 10]),
    qualcomm("Adreno X1-85", &["x1 85", "adreno tm x1 85"], [12, 1250, 135, 6 << 10]),
    Chip {
        integrated: true,
        ..of(ARM, "Mali-G710", &["mali g710", "mali g715", "mali g610"], MALI, [10, 850, 60, 6 << 10])
    },
];
