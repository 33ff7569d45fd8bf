//! Times the recurrent product of a GRU's step, all gates, with weights of 8, 16 and 32 bits: on each Vulkan device by a
//! kernel like `shaders/step.wgsl`, and on one thread of the CPU with AVX-512. It prints CSV; x86-64 and Unix only.
//!
//!     cd benches/studies/int8; cargo run --release > int8-speed.csv
//!
//! A step here is only `w_hh h`, and rounding h if the product needs that: no projection, no gates. Storages take turns, in
//! [`ROUNDS`] rounds, and each result is compared with sums in f64 of the stored numbers. `busy_us` is processor time of all
//! threads, which other work on the machine lengthens less than wall-clock time.

mod cpu;
mod gpu;
mod numbers;

use std::time::{Duration, Instant};

use numbers::{Numbers, Storage};

/// Turns of each storage; an odd number.
const ROUNDS: usize = 7;
/// How long a turn lasts, and its least number of steps.
const TURN: Duration = Duration::from_millis(60);
const STEPS: usize = 3;

/// Runs steps of one storage.
trait Product {
    fn storage(&self) -> Storage;
    /// Runs so many steps, and waits for the end.
    fn run(&mut self, steps: usize);
    /// The sums of the last step, `[B, G·H]`.
    fn sums(&mut self) -> Vec<f32>;
}

/// Processor time of this process so far, all threads, in seconds.
fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0, "the process has a clock");
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Verifies and times `products` and prints a line for each.
fn time(device: &str, driver: &str, numbers: &Numbers, mut products: Vec<Box<dyn Product>>) {
    let mut samples = vec![Vec::new(); products.len()];
    let mut busy = samples.clone();
    let mut errors = Vec::new();
    let mut steps = Vec::new();
    for product in &mut products {
        product.run(1);
        errors.push(numbers.verify(product.storage(), &product.sums()));
        let mut each = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            product.run(STEPS);
            each = each.min(start.elapsed().as_secs_f64() / STEPS as f64);
        }
        steps.push(((TURN.as_secs_f64() / each) as usize).clamp(STEPS, 20_000));
    }
    for round in 0..ROUNDS {
        let mut order: Vec<usize> = (0..products.len()).collect();
        order.rotate_left(round % products.len());
        for index in order {
            let (start, before) = (Instant::now(), processor_time());
            products[index].run(steps[index]);
            samples[index].push(start.elapsed().as_secs_f64() / steps[index] as f64);
            busy[index].push((processor_time() - before) / steps[index] as f64);
        }
    }
    for (index, product) in products.iter().enumerate() {
        let (samples, busy, steps, error) =
            (&mut samples[index], &mut busy[index], steps[index], errors[index]);
        samples.sort_by(f64::total_cmp);
        busy.sort_by(f64::total_cmp);
        let storage = product.storage();
        let [median, low, high] = [ROUNDS / 2, 0, ROUNDS - 1].map(|i| samples[i] * 1e6);
        let busy = busy[ROUNDS / 2] * 1e6;
        println!(
            "\"{device}\",\"{driver}\",{},{},\"{}\",{},{median:.3},{low:.3},{high:.3},{busy:.3},{ROUNDS},{steps},yes,{error:.1e}",
            numbers.batch,
            numbers.hidden,
            storage.name(),
            numbers.bytes(storage),
        );
    }
}

fn main() {
    println!(
        "device,driver,batch,hidden,storage,bytes,median_us,low_us,high_us,busy_us,rounds,steps,verified,max_error"
    );
    for hidden in [64, 128, 256, 512, 1024] {
        let numbers = Numbers::draw(1, hidden);
        match cpu::products(&numbers) {
            Some(products) => time("cpu, one thread", "avx512", &numbers, products),
            None => eprintln!("the CPU lacks AVX-512, its VNNI or its BF16"),
        }
    }
    for gpu in gpu::open() {
        for hidden in [256, 512, 1024] {
            for batch in [1, 4, 16] {
                let numbers = Numbers::draw(batch, hidden);
                time(&gpu.name, &gpu.driver, &numbers, gpu.products(&numbers));
            }
        }
    }
}
