//! Grapheme to phoneme: the pronunciation of English words from their letters, by two GRUs on [`wgru`].
//!
//! ```text
//! letters     -> embedding -> encoder GRU, both directions -> its two final states, side by side
//!                                                                  | h of the first step
//! <end> p1 p2 -> embedding -> decoder GRU -> readout -> scores of the next phoneme: p1 p2 ... <end>
//! ```
//!
//! The encoder runs over many words as one ragged batch. The decoder is a session whose rows are words, or words times
//! hypotheses. [`G2p::speak`] searches greedily or with a beam:
//!
//! ```
//! # fn main() -> wgru_g2p::Result<()> {
//! let g2p = wgru_g2p::Network::own()?.load(&wgru::Device::cpu())?;
//! let spoken = g2p.speak(&["knight"], 1)?;
//! assert_eq!(g2p.network().names(&spoken[0].phonemes), ["N", "AY1", "T"]);
//! # Ok(())
//! # }
//! ```
//!
//! The feature `gpu`, on by default, is for devices by wgpu.

#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unwrap_used, clippy::todo)
)]

/// The examples of the README and of the guide's page, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../../docs/guide/src/g2p.md")]
struct Pages;

pub mod dictionary;
mod error;
mod g2p;
mod network;
mod rows;
mod search;

pub use error::{Error, Result};
pub use g2p::{G2p, Spoken};
pub use network::Network;

/// The end of a word among the phonemes. The decoder also starts with it.
pub const END: u32 = 0;
/// The most letters of a word. The longest of the dictionary has 34.
pub const MOST_LETTERS: usize = 64;
/// The most hypotheses of a word in a beam search.
pub const WIDEST_BEAM: usize = 64;

/// After how many phonemes a word of so many letters is cut off. No word of the dictionary has as many.
pub fn most_phonemes(letters: usize) -> usize {
    2 * letters + 8
}
