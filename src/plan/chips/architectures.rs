//! Architectures of GPUs: what a core has. A core is what runs a workgroup: a streaming multiprocessor of NVIDIA, a
//! compute unit of AMD up to GCN and CDNA and a workgroup processor since RDNA, an Xe core or dual subslice of Intel,
//! a GPU core of Apple, half a shader processor of Qualcomm, a shader core of Arm.
//!
//! Each entry names its documents. Latencies are published measurements, rounded to tens of nanoseconds; where an
//! entry says *assumed*, no document was found.

/// What a core of an architecture has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Architecture {
    /// Its name.
    pub name: &'static str,
    /// Products and sums of a cycle, in f32.
    pub lanes: u64,
    /// Schedulers, each of which needs a subgroup to be busy.
    pub schedulers: u64,
    /// Threads that are scheduled together, in the kernels of this crate.
    pub subgroup: u64,
    /// Cycles from a product and sum to one that needs it.
    pub latency: u64,
    /// Threads.
    pub threads: u64,
    /// 32-bit registers.
    pub file: u64,
    /// KiB of workgroup memory.
    pub memory: u64,
    /// Workgroups.
    pub resident: u64,
    /// Weights that a thread can keep without spilling, of one row and of four.
    pub held: [u64; 2],
    /// Whether there are units for cooperative matrices; single chips may lack them, and then offer none.
    pub has_matrices: bool,
    /// Nanoseconds of a load from the last cache, and from memory. Those from papers on NVIDIA's are rounded.
    pub loads: [u64; 2],
}

/// NVIDIA: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability" (threads, registers, shared
/// memory, workgroups), and the white papers of the architectures (lanes). Weights: `benches/records/isa-sm_*.csv`; with
/// 192 and four rows, a GRU that resets before spills.
const fn nvidia(name: &'static str, lanes: u64, threads: u64, memory: u64, resident: u64) -> Architecture {
    let (held, has_matrices, loads) = ([192, 160], true, [150, 280]);
    let (schedulers, subgroup, latency, file) = (4, 32, 4, 65_536);
    Architecture {
        name,
        lanes,
        schedulers,
        subgroup,
        latency,
        threads,
        file,
        memory,
        resident,
        held,
        has_matrices,
        loads,
    }
}

/// NVIDIA Turing GPU Architecture white paper; latencies: Jia et al., arXiv 1903.07486.
pub const TURING: Architecture = Architecture { loads: [120, 270], ..nvidia("Turing", 64, 1024, 64, 16) };
/// NVIDIA A100 Tensor Core GPU Architecture white paper; latencies: Luo et al., arXiv 2402.13499.
pub const AMPERE_A100: Architecture =
    Architecture { loads: [190, 330], ..nvidia("Ampere (A100)", 64, 2048, 164, 32) };
/// NVIDIA Ampere GA102 GPU Architecture white paper; latencies: Chips and Cheese, "GPU Memory Latency's Impact, and
/// Updated Test" (140 ns in L2), that of memory *assumed*.
pub const AMPERE: Architecture = Architecture { loads: [140, 280], ..nvidia("Ampere", 128, 1536, 100, 16) };
/// NVIDIA Ada GPU Architecture white paper; latencies: Luo et al., arXiv 2402.13499.
pub const ADA: Architecture = Architecture { loads: [110, 220], ..nvidia("Ada", 128, 1536, 100, 24) };
/// NVIDIA H100 Tensor Core GPU Architecture white paper; latencies: Luo et al., arXiv 2402.13499.
pub const HOPPER: Architecture = nvidia("Hopper", 128, 2048, 228, 32);
/// NVIDIA RTX Blackwell GPU Architecture white paper; latencies: Chips and Cheese, "Blackwell: Nvidia's Massive GPU".
pub const BLACKWELL: Architecture =
    Architecture { loads: [130, 330], ..nvidia("Blackwell", 128, 1536, 100, 24) };

/// AMD "Vega" Instruction Set Architecture and Vega white paper: four SIMDs of 16 lanes, a wave of 64 in four cycles.
/// Latencies *assumed*. 192 weights, for this and all of AMD: `benches/records/isa-*.csv`.
pub const GCN5: Architecture = Architecture {
    name: "GCN 5 (Vega)",
    lanes: 64,
    schedulers: 4,
    subgroup: 64,
    latency: 4,
    threads: 2560,
    file: 65_536,
    memory: 64,
    resident: 16,
    held: [192, 192],
    has_matrices: false,
    loads: [200, 400],
};
/// AMD Instinct MI200 Instruction Set Architecture, CDNA 2 white paper: 512 registers of a thread and SIMD, half of
/// them accumulators. Latencies *assumed*.
pub const CDNA2: Architecture = Architecture {
    name: "CDNA 2",
    threads: 2048,
    file: 131_072,
    has_matrices: true,
    loads: [250, 500],
    ..GCN5
};
/// AMD Instinct MI300 Instruction Set Architecture, CDNA 3 white paper. Latencies: Chips and Cheese, "Testing AMD's Giant
/// MI300X", that of memory *assumed*.
pub const CDNA3: Architecture = Architecture { name: "CDNA 3", loads: [220, 500], ..CDNA2 };
/// AMD RDNA white paper and RDNA Instruction Set Architecture: four SIMDs of 32 lanes and 1,024 registers a lane.
/// Mesa compiles workgroups for such pairs of compute units, as waves of 64. Latencies *assumed*.
pub const RDNA1: Architecture = Architecture {
    name: "RDNA",
    lanes: 128,
    latency: 5,
    threads: 5120,
    file: 131_072,
    memory: 128,
    resident: 32,
    loads: [130, 300],
    ..GCN5
};
/// AMD RDNA 2 Instruction Set Architecture; 16 waves a SIMD. Latencies: Chips and Cheese, "GPU Memory
/// Latency's Impact, and Updated Test", with Infinity Cache as the last cache, and "Latency Testing is Hard (RDNA 3 Power
/// Saving)".
pub const RDNA2: Architecture = Architecture { name: "RDNA 2", threads: 4096, loads: [150, 270], ..RDNA1 };
/// AMD RDNA 3 Instruction Set Architecture; 1,536 registers a lane in Navi 31 and 32, pairs of instructions not counted.
/// Latencies: Chips and Cheese, "Latency Testing is Hard (RDNA 3 Power Saving)": 150 to 200 ns in Infinity Cache.
pub const RDNA3: Architecture =
    Architecture { name: "RDNA 3", file: 196_608, has_matrices: true, loads: [180, 230], ..RDNA2 };
/// The smaller chips of RDNA 3, with 1,024 registers a lane (Mesa's `ac_gpu_info.c`).
pub const RDNA3_SMALL: Architecture = Architecture { name: "RDNA 3 (small)", file: 131_072, ..RDNA3 };
/// AMD RDNA 4 Instruction Set Architecture; registers: AMD, "GPU hardware specifications" of ROCm. Latencies: Chips and
/// Cheese, "Blackwell: Nvidia's Massive GPU" (RX 9070, of memory), of the last cache *assumed* as RDNA 3's.
pub const RDNA4: Architecture = Architecture { name: "RDNA 4", loads: [180, 250], ..RDNA3 };

/// Intel Processor Graphics Xe-LP API Developer and Optimization Guide, Intel GPU Occupancy Calculator: a dual subslice of 16
/// execution units with 7 threads each, 128 registers of 8 lanes a thread. Kernels that hold weights run in subgroups of 8, where ANV spills
/// from 96 weights of one row, and with some 50 of four. Latencies *assumed*.
pub const XE_LP: Architecture = Architecture {
    name: "Xe-LP",
    lanes: 128,
    schedulers: 16,
    subgroup: 8,
    latency: 6,
    threads: 896,
    file: 114_688,
    memory: 64,
    resident: 32,
    held: [80, 48],
    has_matrices: false,
    loads: [150, 300],
};
/// Intel oneAPI GPU Optimization Guide, "Xe GPU Architecture": an Xe core of 16 vector engines with 8 threads each.
/// Latencies: Chips and Cheese, "Microbenchmarking Intel's Arc A770", which has L2 between those of the RTX 4090 and of RDNA 2's
/// Infinity Cache; that of memory *assumed*.
pub const XE_HPG: Architecture = Architecture {
    name: "Xe-HPG",
    threads: 1024,
    file: 131_072,
    memory: 128,
    has_matrices: true,
    loads: [130, 450],
    ..XE_LP
};
/// Intel Xe2: 8 vector engines of 16 lanes an Xe core (Intel, "Xe2 and Lunar Lake GPU Deep Dive", 2024). The weights
/// of a thread are *assumed* as Xe-HPG's, the latency of the last cache too; of memory: Chips and Cheese on Lunar Lake
/// (400 ns, the B580 300).
pub const XE2: Architecture =
    Architecture { name: "Xe2", schedulers: 8, subgroup: 16, resident: 64, loads: [130, 350], ..XE_HPG };

/// Apple M1 to M4: P. Turner, metal-benchmarks (four schedulers of 32 lanes, 208 KiB of registers, 60 KB of threadgroup
/// memory, of which a threadgroup has 32, a product and sum in 2 to 6 cycles). Latencies of loads are *assumed*. How many weights a thread may hold is *assumed*: no compiler of
/// Apple's was run. M3 and M4 allocate registers while they run; *assumed* as M1.
pub const APPLE: Architecture = Architecture {
    name: "Apple M1 to M4",
    lanes: 128,
    schedulers: 4,
    subgroup: 32,
    latency: 4,
    threads: 3072,
    file: 53_248,
    memory: 60,
    resident: 24,
    held: [80, 80],
    has_matrices: true,
    loads: [250, 400],
};

/// Qualcomm Adreno 6xx and 7xx: Chips and Cheese, "Inside the Snapdragon 855's iGPU", "Correction on Qualcomm iGPUs" and "The
/// Snapdragon X Elite's Adreno iGPU" (128 lanes and 128 KiB to 192 KiB of registers in half a shader processor); Mesa's freedreno sources (waves of 64 or 128, 32 KiB of local memory). Turnip spills from 96
/// weights. Threads, workgroups and latencies *assumed*.
pub const ADRENO: Architecture = Architecture {
    name: "Adreno 6xx and 7xx",
    lanes: 128,
    schedulers: 2,
    subgroup: 64,
    latency: 6,
    threads: 2048,
    file: 32_768,
    memory: 32,
    resident: 16,
    held: [64, 64],
    has_matrices: false,
    loads: [300, 500],
};

/// Arm Mali, Valhall and later: Arm Mali GPU Best Practices Developer Guide (64 registers a thread, 16 lanes a warp; full
/// occupancy up to 32). Workgroup memory is in the L2 cache. The rest is *assumed*.
pub const MALI: Architecture = Architecture {
    name: "Mali (Valhall)",
    lanes: 64,
    schedulers: 4,
    subgroup: 16,
    latency: 5,
    threads: 2048,
    file: 65_536,
    memory: 32,
    resident: 16,
    held: [32, 16],
    has_matrices: false,
    loads: [250, 450],
};

/// All of them.
pub const ALL: [Architecture; 20] = [
    TURING,
    AMPERE_A100,
    AMPERE,
    ADA,
    HOPPER,
    BLACKWELL,
    GCN5,
    CDNA2,
    CDNA3,
    RDNA1,
    RDNA2,
    RDNA3,
    RDNA3_SMALL,
    RDNA4,
    XE_LP,
    XE_HPG,
    XE2,
    APPLE,
    ADRENO,
    MALI,
];
