//! Greedy decoding on an application's own device: the phonemes of all steps stay there, and are read once, at the end.
//!
//! ```sh
//! cargo run --release -p wgru-g2p --example decode -- [WORD…]
//! ```
//!
//! Between two steps of the decoder there are two passes of the application: `choose` takes the most probable phoneme of each
//! word, and `gather` copies its embedding into the next step's x. All steps of all words are recorded into one encoder. For
//! comparison the same words are decoded step by step through the host; both have to give the same phonemes.

mod on_device;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use on_device::OnDevice;
use wgru::{Device, wgpu};
use wgru_g2p::Network;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decode: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let mut words: Vec<&str> = given.iter().map(String::as_str).collect();
    if words.is_empty() {
        words = vec!["recurrent", "networks", "on", "a", "graphics", "card"];
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_limits: adapter.limits(),
        ..Default::default()
    }))?;
    let engines = Device::from_wgpu(device.clone(), queue.clone());
    let g2p = Network::own()?.load(&engines)?;
    println!("{}", engines.info());

    // Drivers compile at the first run.
    for timed in [false, true] {
        let mut decode = OnDevice::new(&device, &queue, &g2p, &words)?;
        let start = Instant::now();
        decode.submit()?;
        let phonemes = decode.read()?;
        let on_device = start.elapsed();
        let start = Instant::now();
        let through_host = g2p.speak(&words, 1)?;
        let host = start.elapsed();
        for ((word, phonemes), spoken) in words.iter().zip(&phonemes).zip(&through_host) {
            if *phonemes != spoken.phonemes {
                let [one, other] = [phonemes, &spoken.phonemes].map(|all| g2p.network().names(all).join(" "));
                return Err(format!("{word}: {one} on the device, {other} through the host").into());
            }
            if timed {
                println!("{word} {}", g2p.network().names(phonemes).join(" "));
            }
        }
        if timed {
            println!(
                "decoded on the device in {on_device:.1?}; encoded and decoded through the host in {host:.1?}"
            );
        }
    }
    Ok(())
}
