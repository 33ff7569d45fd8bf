//! The streams of a load: they come and go at random, and some are recorded for verification.
//!
//! A stream's frames are windows of one bank of random numbers, at offsets computed from the stream's number and the
//! frame's. So a frame costs a copy and no random draws, and the frames of a recorded stream can be computed again
//! afterwards.

use wgru::{Pool, StreamId, TickOutput};

use crate::failure::{Failure, Outcome, error};
use wgru_harness::case::values;

/// The average lifetime of a stream in seconds.
const LIFE: f64 = 5.0;
/// The chance that a free slot is filled at a turn.
const JOINING: f64 = 0.5;
/// The number of recorded streams: of those open from the start, and of those that join later.
const KEPT: [usize; 2] = [4, 4];
/// The size of the bank, in addition to one frame.
const BANK: usize = 1 << 16;

/// A stream that is open.
struct Member {
    stream: StreamId,
    /// Its number among all streams of the load.
    number: u64,
    /// Frames that it was given.
    frames: u64,
    /// The turn at which it is closed.
    leaves: u64,
    /// Its index among the recorded streams.
    kept: Option<usize>,
}

/// A stream whose outputs are recorded.
pub struct Kept {
    stream: StreamId,
    /// Its number in the load.
    pub number: u64,
    /// Frames that it was given.
    pub frames: u64,
    /// `[frames, P]`.
    pub y: Vec<f32>,
}

/// The streams of a load.
pub struct Population {
    members: Vec<Member>,
    /// The target number of streams, which is never exceeded.
    most: usize,
    /// The number of streams so far.
    streams: u64,
    turns: u64,
    /// The average lifetime of a stream in turns.
    life: f64,
    /// Turns from which on the next stream to join is recorded, in descending order.
    keep: Vec<u64>,
    kept: Vec<Kept>,
    frames: Frames,
    rng: fastrand::Rng,
}

/// The source of frames.
pub struct Frames {
    bank: Vec<f32>,
    input: usize,
}

impl Frames {
    fn new(rng: &mut fastrand::Rng, input: usize) -> Self {
        Self { bank: values(rng, BANK + input, 1.0), input }
    }

    /// A frame of a stream, `[I]`.
    pub fn frame(&self, stream: u64, frame: u64) -> &[f32] {
        // splitmix64, so that consecutive numbers give unrelated offsets.
        let mut at = stream
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(frame)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        at = (at ^ (at >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let at = (at >> 32) as usize % BANK;
        &self.bank[at..][..self.input]
    }
}

impl Population {
    /// Opens `most` streams in `pool`, which has none yet. With `keeps`, some are recorded: at least one that stays
    /// to the end, and one that leaves.
    ///
    /// # Errors
    /// The pool's error; no memory.
    pub fn open(pool: &mut Pool, most: usize, turns: u64, rate: f64, keeps: bool) -> Outcome<Self> {
        let mut rng = fastrand::Rng::with_seed(most as u64);
        let mut members = Vec::new();
        members.try_reserve_exact(most).map_err(|reason| error(format!("{most} streams"), reason))?;
        let frames = Frames::new(&mut rng, pool.engine().model().input());
        let (keep, kept) = (Vec::new(), Vec::new());
        let mut population =
            Self { members, most, streams: 0, turns, life: LIFE * rate, keep, kept, frames, rng };
        for _ in 0..most {
            population.join(pool, 0)?;
        }
        if keeps {
            population.choose(pool.engine().model().output())?;
        }
        Ok(population)
    }

    /// Chooses the streams to record.
    fn choose(&mut self, width: usize) -> Outcome {
        let [early, late] = KEPT.map(|count| count.min(self.members.len()));
        let mut members: Vec<usize> = (0..self.members.len()).collect();
        self.rng.shuffle(&mut members);
        members.truncate(early);
        for &member in &members {
            self.keep_member(member);
        }
        self.members[members[0]].leaves = u64::MAX;
        // The final size is known, and allocating in the middle of a load would take time then.
        let all = usize::try_from(self.turns).ok().and_then(|turns| turns.checked_mul(width));
        let room = all.and_then(|all| self.kept[0].y.try_reserve_exact(all).ok());
        room.ok_or_else(|| {
            error("outputs that are kept", format!("no memory for those of {} turns", self.turns))
        })?;
        let Some(&leaver) = members.get(1) else { return Ok(()) };
        // Its slot is filled by one that joins, which is recorded as well; the others are chosen at random times.
        let leaves = self.turns / 4 + self.rng.u64(0..=self.turns / 4);
        self.members[leaver].leaves = leaves.max(1);
        let times = (1..late).map(|_| self.rng.u64(0..=self.turns / 4 * 3));
        self.keep = times.collect();
        self.keep.push(leaves);
        self.keep.sort_unstable_by_key(|&turn| std::cmp::Reverse(turn));
        Ok(())
    }

    fn keep_member(&mut self, member: usize) {
        let member = &mut self.members[member];
        member.kept = Some(self.kept.len());
        self.kept.push(Kept { stream: member.stream, number: member.number, frames: 0, y: Vec::new() });
    }

    fn join(&mut self, pool: &mut Pool, turn: u64) -> Outcome {
        let stream = pool.open()?;
        // If a stream leaves with the same chance at every turn, its lifetime is exponentially distributed.
        let life = -(1.0 - self.rng.f64()).ln() * self.life;
        let leaves = turn.saturating_add((life as u64).max(1));
        self.members.push(Member { stream, number: self.streams, frames: 0, leaves, kept: None });
        self.streams += 1;
        Ok(())
    }

    /// Streams that are open.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// All streams so far, including those that are open.
    pub fn streams(&self) -> u64 {
        self.streams
    }

    /// Closes streams at the end of their lifetime, and opens others in their place, now or at a later turn.
    ///
    /// # Errors
    /// The pool's error; frames that were not computed.
    pub fn change(&mut self, pool: &mut Pool, turn: u64) -> Outcome {
        let free = self.most - self.members.len();
        for member in (0..self.members.len()).rev() {
            if self.members[member].leaves <= turn {
                let left = self.members.swap_remove(member);
                let dropped = pool.close(left.stream)?;
                if dropped > 0 {
                    let reason = format!("stream {} had {dropped} frames left after a tick", left.stream);
                    return Err(Failure::Verification(reason));
                }
            }
        }
        // Only slots that were free before are filled: so there are turns with a free slot, and slots are reused in
        // another order.
        for _ in 0..free {
            if self.rng.f64() < JOINING {
                self.join(pool, turn)?;
                if self.keep.last().is_some_and(|&from| from <= turn) {
                    self.keep.pop();
                    self.keep_member(self.members.len() - 1);
                }
            }
        }
        Ok(())
    }

    /// Pushes so many frames to every stream.
    ///
    /// # Errors
    /// The pool's error.
    pub fn push(&mut self, pool: &mut Pool, turns: u64) -> Outcome {
        for member in &mut self.members {
            for _ in 0..turns {
                pool.push(member.stream, self.frames.frame(member.number, member.frames))?;
                member.frames += 1;
            }
            if let Some(kept) = member.kept {
                self.kept[kept].frames = member.frames;
            }
        }
        Ok(())
    }

    /// Records the outputs of a tick, which should have so many frames for each stream.
    ///
    /// # Errors
    /// A different number of frames.
    pub fn take(&mut self, output: &TickOutput, turns: u64) -> Outcome {
        let mut frames = 0;
        for row in output.iter() {
            frames += row.frames as u64;
            if let Some(kept) = self.kept.iter_mut().find(|kept| kept.stream == row.stream) {
                kept.y.extend_from_slice(row.y);
            }
        }
        let expected = turns * self.members.len() as u64;
        if (output.len(), frames) != (self.members.len(), expected) {
            let (came, streams) = (output.len(), self.members.len());
            return Err(Failure::Verification(format!(
                "a tick brought {frames} frames of {came} streams, {expected} of {streams} were due"
            )));
        }
        Ok(())
    }

    /// The recorded streams, and the source of their frames.
    pub fn into_kept(self) -> (Vec<Kept>, Frames) {
        (self.kept, self.frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgru::PoolOptions;
    use wgru_harness::case::Case;

    fn pool(streams: usize) -> Pool {
        let case: Case = "gru-b1-t1-i3-h4".parse().unwrap();
        let model = case.model(&mut fastrand::Rng::with_seed(1)).unwrap();
        wgru::Device::cpu().load(&model).unwrap().pool(PoolOptions::fixed(streams)).unwrap()
    }

    #[test]
    fn streams_come_and_go_and_some_are_kept() {
        let (turns, most) = (400, 30);
        let mut pool = pool(most);
        let mut population = Population::open(&mut pool, most, turns, 20.0, true).unwrap();
        let mut output = TickOutput::default();
        let (mut frames, mut least) = (0, most);
        for turn in 0..turns {
            population.change(&mut pool, turn).unwrap();
            population.push(&mut pool, 1).unwrap();
            pool.tick_into(&mut output).unwrap();
            population.take(&output, 1).unwrap();
            assert!(population.len() <= most && population.len() == pool.len());
            (frames, least) = (frames + population.len(), least.min(population.len()));
        }
        // Each stream lives for 100 of 400 turns.
        let streams = population.streams() as usize;
        assert!((3 * most..7 * most).contains(&streams), "{streams}");
        assert!(least > most / 2 && frames > most * turns as usize * 9 / 10, "{least} {frames}");
        let (kept, _) = population.into_kept();
        assert_eq!(kept.len(), 8);
        assert_eq!(kept.iter().filter(|kept| kept.frames == turns).count(), 1, "one stays");
        assert!(kept.iter().filter(|kept| kept.number >= most as u64).count() == 4, "four join late");
        assert!((1..turns - 1).contains(&kept[1].frames), "one leaves");
        assert!(kept.iter().all(|kept| kept.y.len() as u64 == kept.frames * 4));
    }

    #[test]
    fn a_frame_that_is_missing_is_found() {
        let mut pool = pool(3);
        let mut population = Population::open(&mut pool, 3, 10, 1.0, false).unwrap();
        population.push(&mut pool, 2).unwrap();
        let output = pool.tick().unwrap();
        population.take(&output, 2).unwrap();
        let failure = population.take(&output, 1).unwrap_err();
        assert!(
            matches!(failure, Failure::Verification(text) if text.contains("6 frames of 3 streams, 3 of 3"))
        );
    }

    #[test]
    fn frames_differ_and_come_again() {
        let frames = Frames::new(&mut fastrand::Rng::with_seed(1), 5);
        assert_eq!(frames.frame(3, 4), frames.frame(3, 4));
        let places: std::collections::HashSet<_> = (0..100)
            .flat_map(|s| (0..100).map(move |f| (s, f)))
            .map(|(s, f)| frames.frame(s, f).as_ptr())
            .collect();
        assert!(places.len() > 8_000, "{}", places.len());
    }
}
