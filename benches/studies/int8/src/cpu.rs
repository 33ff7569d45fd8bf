//! One row on one thread, in the shape of the crate's product (`src/cpu/product.rs`): weights as `[H/16][k][gate][16]`, four
//! blocks of 16 units at once, blocks alternately upward and downward. For products of 8 bits four k lie together, for bf16 two.

#![allow(clippy::needless_range_loop, reason = "the indices are register numbers")]

use std::arch::x86_64::*;
use std::hint::black_box;
use std::mem::transmute;

use half::{bf16, f16};

use crate::Product;
use crate::numbers::{GATES, Numbers, Storage};

const LANES: usize = 16;
/// Blocks at once: with every gate, 12 vectors of sums.
const ACROSS: usize = 4;
const LINE: usize = 64;

struct Row {
    storage: Storage,
    /// The packed weights, aligned to a cache line.
    panel: Vec<[u8; LINE]>,
    h: Vec<f32>,
    /// h in 8 bits with 128 added, and in bf16.
    h8: Vec<u8>,
    h16: Vec<u16>,
    /// The factors of the sums, and 128 times the sum of a column's weights of 8 bits, `[H/16][gate][16]` like the sums.
    scales: Vec<f32>,
    offsets: Vec<i32>,
    sums: Vec<f32>,
    is_down: bool,
}

/// The column, gate and unit of each index of the sums.
fn columns(hidden: usize) -> impl Iterator<Item = usize> {
    (0..hidden / LANES).flat_map(move |block| {
        (0..GATES).flat_map(move |gate| (0..LANES).map(move |lane| gate * hidden + block * LANES + lane))
    })
}

/// Packs `together` of k side by side.
fn packed<T: bytemuck::Pod>(
    numbers: &Numbers,
    together: usize,
    value: impl Fn(usize) -> T,
) -> Vec<[u8; LINE]> {
    let hidden = numbers.hidden;
    let columns: Vec<usize> = columns(hidden).collect();
    let mut all = Vec::with_capacity(numbers.w.len());
    for block in columns.chunks_exact(GATES * LANES) {
        for k in (0..hidden).step_by(together) {
            all.extend(block.iter().flat_map(|n| (0..together).map(move |j| n * hidden + k + j)).map(&value));
        }
    }
    let bytes: &[u8] = bytemuck::cast_slice(&all);
    let mut lines = vec![[0; LINE]; bytes.len().div_ceil(LINE)];
    lines.as_flattened_mut()[..bytes.len()].copy_from_slice(bytes);
    lines
}

/// A product of each storage, if the CPU has the instructions.
pub fn products(numbers: &Numbers) -> Option<Vec<Box<dyn Product>>> {
    let has_all = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512bf16");
    let storages = [
        Storage::F32,
        Storage::F16,
        Storage::Bf16,
        Storage::Bf16Dot,
        Storage::Int8,
        Storage::Dot,
        Storage::DotOfOne,
    ];
    has_all
        .then(|| storages.into_iter().map(|storage| Box::new(Row::new(numbers, storage)) as Box<_>).collect())
}

impl Row {
    fn new(numbers: &Numbers, storage: Storage) -> Self {
        let (w, w8, hidden) = (&numbers.w, &numbers.w8, numbers.hidden);
        let panel = match storage {
            Storage::F32 => packed(numbers, 1, |i| w[i]),
            Storage::F16 => packed(numbers, 1, |i| f16::from_f32(w[i]).to_bits()),
            Storage::Bf16 => packed(numbers, 1, |i| bf16::from_f32(w[i]).to_bits()),
            Storage::Bf16Dot => packed(numbers, 2, |i| bf16::from_f32(w[i]).to_bits()),
            Storage::Int8 => packed(numbers, 1, |i| w8[i]),
            Storage::Dot | Storage::DotOfOne => packed(numbers, 4, |i| w8[i]),
        };
        let is_int8 = matches!(storage, Storage::Int8 | Storage::Dot | Storage::DotOfOne);
        let offset = |n: usize| w8[n * hidden..][..hidden].iter().map(|&v| i32::from(v) * 128).sum();
        Self {
            storage,
            panel,
            h: numbers.h.clone(),
            h8: vec![0; hidden],
            h16: vec![0; hidden],
            scales: columns(hidden).map(|n| if is_int8 { numbers.scales[n] } else { 1.0 }).collect(),
            offsets: columns(hidden).map(offset).collect(),
            sums: vec![0.0; GATES * hidden],
            is_down: false,
        }
    }

    /// The first of each four blocks, in the order of this step.
    fn blocks(&mut self) -> impl Iterator<Item = usize> + use<> {
        let count = self.h.len() / LANES / ACROSS;
        let is_down = self.is_down;
        self.is_down = !is_down;
        (0..count).map(move |i| ACROSS * if is_down { count - 1 - i } else { i })
    }
}

impl Product for Row {
    fn storage(&self) -> Storage {
        self.storage
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            let row = black_box(&mut *self);
            // SAFETY: `products` checked the instructions, and made the arrays as long as they are read.
            unsafe {
                match row.storage {
                    Storage::F32 => of_f32(row),
                    Storage::F16 => of_f16(row),
                    Storage::Bf16 => of_bf16(row),
                    Storage::Bf16Dot => of_bf16_dot(row),
                    Storage::Int8 => of_int8(row),
                    Storage::Dot | Storage::DotOfOne => of_dot(row),
                }
            }
        }
    }

    fn sums(&mut self) -> Vec<f32> {
        let mut sums = vec![0.0; self.sums.len()];
        columns(self.h.len()).zip(&self.sums).for_each(|(n, &sum)| sums[n] = sum);
        sums
    }
}

/// A step by products in f32; `$load` converts 16 weights.
macro_rules! floats {
    ($name:ident, $word:ty, $load:expr) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
        unsafe fn $name(row: &mut Row) {
            let depth = row.h.len();
            let (h, pitch) = (row.h.as_ptr(), depth * GATES * LANES);
            for first in row.blocks() {
                let panel = unsafe { row.panel.as_ptr().cast::<$word>().add(first * pitch) };
                let mut sums = [[_mm512_setzero_ps(); GATES]; ACROSS];
                for k in 0..depth {
                    let v = _mm512_set1_ps(unsafe { *h.add(k) });
                    for u in 0..ACROSS {
                        for g in 0..GATES {
                            let w = unsafe { $load(panel.add(u * pitch + (k * GATES + g) * LANES)) };
                            sums[u][g] = _mm512_fmadd_ps(v, w, sums[u][g]);
                        }
                    }
                }
                for u in 0..ACROSS {
                    for g in 0..GATES {
                        let at = ((first + u) * GATES + g) * LANES;
                        unsafe {
                            let scale = _mm512_loadu_ps(row.scales.as_ptr().add(at));
                            _mm512_storeu_ps(row.sums.as_mut_ptr().add(at), _mm512_mul_ps(sums[u][g], scale));
                        }
                    }
                }
            }
        }
    };
}

floats!(of_f32, f32, |from: *const f32| _mm512_loadu_ps(from));
floats!(of_f16, u16, |from: *const u16| _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())));
floats!(of_bf16, u16, |from: *const u16| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(
    _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()))
)));
floats!(of_int8, i8, |from: *const i8| _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(
    from.cast()
))));

/// A step by products of bf16, two to a lane.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn of_bf16_dot(row: &mut Row) {
    let depth = row.h.len();
    for (from, to) in row.h.chunks_exact(LANES).zip(row.h16.chunks_exact_mut(LANES)) {
        unsafe {
            let values: __m256i = transmute(_mm512_cvtneps_pbh(_mm512_loadu_ps(from.as_ptr())));
            _mm256_storeu_si256(to.as_mut_ptr().cast(), values);
        }
    }
    let (h16, pitch) = (row.h16.as_ptr(), depth * GATES * LANES);
    for first in row.blocks() {
        let panel = unsafe { row.panel.as_ptr().cast::<u16>().add(first * pitch) };
        let mut sums = [[_mm512_setzero_ps(); GATES]; ACROSS];
        for k in (0..depth).step_by(2) {
            let v: __m512bh =
                unsafe { transmute(_mm512_set1_epi32(h16.add(k).cast::<i32>().read_unaligned())) };
            for u in 0..ACROSS {
                for g in 0..GATES {
                    let from = unsafe { panel.add(u * pitch + (k * GATES + g * 2) * LANES) };
                    let w: __m512bh = unsafe { transmute(_mm512_loadu_si512(from.cast())) };
                    sums[u][g] = _mm512_dpbf16_ps(sums[u][g], v, w);
                }
            }
        }
        for u in 0..ACROSS {
            for g in 0..GATES {
                let at = ((first + u) * GATES + g) * LANES;
                unsafe { _mm512_storeu_ps(row.sums.as_mut_ptr().add(at), sums[u][g]) };
            }
        }
    }
}

/// A step by products of 8 bits, four to a lane. VNNI multiplies unsigned by signed numbers, so 128 is added to h.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn of_dot(row: &mut Row) {
    let depth = row.h.len();
    let scale = unsafe { quantise(row) };
    let (h8, pitch) = (row.h8.as_ptr(), depth * GATES * LANES);
    for first in row.blocks() {
        let panel = unsafe { row.panel.as_ptr().cast::<i8>().add(first * pitch) };
        let mut sums = [[_mm512_setzero_si512(); GATES]; ACROSS];
        for k in (0..depth).step_by(4) {
            let v = _mm512_set1_epi32(unsafe { h8.add(k).cast::<i32>().read_unaligned() });
            for u in 0..ACROSS {
                for g in 0..GATES {
                    let from = unsafe { panel.add(u * pitch + (k * GATES + g * 4) * LANES) };
                    let w = unsafe { _mm512_loadu_si512(from.cast()) };
                    sums[u][g] = _mm512_dpbusd_epi32(sums[u][g], v, w);
                }
            }
        }
        for u in 0..ACROSS {
            for g in 0..GATES {
                let at = ((first + u) * GATES + g) * LANES;
                unsafe {
                    let offset = _mm512_loadu_si512(row.offsets.as_ptr().add(at).cast());
                    let scales =
                        _mm512_mul_ps(_mm512_loadu_ps(row.scales.as_ptr().add(at)), _mm512_set1_ps(scale));
                    let sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[u][g], offset));
                    _mm512_storeu_ps(row.sums.as_mut_ptr().add(at), _mm512_mul_ps(sum, scales));
                }
            }
        }
    }
}

/// h in 8 bits; its scale.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn quantise(row: &mut Row) -> f32 {
    let mut largest = 1.0;
    if row.storage == Storage::Dot {
        let mut most = _mm512_setzero_ps();
        for from in row.h.chunks_exact(LANES) {
            most = _mm512_max_ps(most, _mm512_abs_ps(unsafe { _mm512_loadu_ps(from.as_ptr()) }));
        }
        largest = _mm512_reduce_max_ps(most);
    }
    let by = _mm512_set1_ps(127.0 / largest);
    for (from, to) in row.h.chunks_exact(LANES).zip(row.h8.chunks_exact_mut(LANES)) {
        unsafe {
            let values = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(from.as_ptr()), by));
            let bytes = _mm_xor_si128(_mm512_cvtepi32_epi8(values), _mm_set1_epi8(-128));
            _mm_storeu_si128(to.as_mut_ptr().cast(), bytes);
        }
    }
    largest / 127.0
}
