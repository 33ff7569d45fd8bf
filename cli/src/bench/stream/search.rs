//! The most streams that a device keeps a rate for: doubles the number until the rate is not kept, then bisects.

/// The bounds found so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// The most that kept the rate; 0 if none is known.
    pub keeps: usize,
    /// The fewest that did not.
    pub fails: Option<usize>,
}

/// The first number to try.
const FIRST: usize = 16;
/// The last number to try: more streams than any load here can feed.
const LAST: usize = 1 << 20;
/// The trials of a number before it counts as failed. Other work on the machine may make a short trial fail once.
const TRIES: usize = 2;

impl Most {
    /// The result, if there is one: 0 if even a single stream was too many.
    pub fn found(self) -> Option<usize> {
        (self.keeps > 0 || self.fails == Some(1)).then_some(self.keeps)
    }

    /// Whether the bounds are close enough, as a share of the lower one.
    fn is_narrow(self, precision: f64) -> bool {
        let gap = self.fails.map(|fails| fails.saturating_sub(self.keeps));
        gap.is_some_and(|gap| gap <= 1 || gap as f64 <= self.keeps as f64 * precision)
    }

    /// The number to try next; `None` if the bounds are close enough.
    fn next(self, precision: f64) -> Option<usize> {
        if self.is_narrow(precision) {
            return None;
        }
        let doubled = (self.keeps * 2).max(FIRST);
        match self.fails {
            Some(fails) if doubled < fails => Some(doubled),
            Some(fails) => Some(self.keeps + (fails - self.keeps) / 2),
            None => (self.keeps < LAST).then(|| doubled.min(LAST)),
        }
    }

    /// Searches from the known bounds. `trial` returns whether so many streams keep the rate, or `None` if there is
    /// no time left for it, which ends the search.
    ///
    /// # Errors
    /// The first error of `trial`.
    pub fn search<E>(
        mut self,
        precision: f64,
        mut trial: impl FnMut(usize) -> Result<Option<bool>, E>,
    ) -> Result<Self, E> {
        while let Some(streams) = self.next(precision) {
            let mut keeps = false;
            for _ in 0..TRIES {
                match trial(streams)? {
                    Some(kept) => keeps = kept,
                    None => return Ok(self),
                }
                if keeps {
                    break;
                }
            }
            if keeps {
                self.keeps = streams;
            } else {
                self.fails = Some(streams);
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Most = Most { keeps: 0, fails: None };

    /// A device that keeps the rate for `most` streams, and the numbers that were tried on it.
    fn search(from: Most, most: usize) -> (Most, Vec<usize>) {
        let mut tried = Vec::new();
        let found = from.search(0.05, |streams| {
            tried.push(streams);
            Ok::<_, ()>(Some(streams <= most))
        });
        (found.unwrap(), tried)
    }

    #[test]
    fn the_most_is_found() {
        for most in [1, 2, 15, 16, 17, 100, 1_000, 12_345, 1_000_000] {
            let (found, tried) = search(NOTHING, most);
            assert!(
                found.keeps <= most && found.fails.is_some_and(|fails| fails > most),
                "{most}: {found:?}"
            );
            assert!(found.keeps as f64 >= most as f64 / 1.05 - 1.0, "{most}: {found:?}");
            assert!(tried.len() < 32, "{most}: {tried:?}");
        }
        assert_eq!(search(NOTHING, 0).0, Most { keeps: 0, fails: Some(1) });
        assert_eq!(search(NOTHING, usize::MAX).0, Most { keeps: LAST, fails: None });
    }

    #[test]
    fn what_is_known_is_not_tried() {
        let (found, tried) = search(Most { keeps: 1_000, fails: None }, 3_000);
        assert!((2_850..=3_000).contains(&found.keeps), "{found:?}");
        assert!(tried.iter().all(|&streams| streams > 1_000), "{tried:?}");
        let (found, tried) = search(Most { keeps: 0, fails: Some(1_000) }, 100);
        assert!((95..=100).contains(&found.keeps), "{found:?}");
        assert!(tried.iter().all(|&streams| streams < 1_000), "{tried:?}");
        assert_eq!(tried[..4], [16, 32, 64, 128]);
    }

    #[test]
    fn a_number_may_fail_once_and_time_may_run_out() {
        let mut tried = Vec::new();
        let found = NOTHING.search(0.05, |streams| {
            tried.push(streams);
            Ok::<_, ()>(match tried.len() {
                1 => Some(false),
                2 | 3 => Some(true),
                _ => None,
            })
        });
        assert_eq!(found, Ok(Most { keeps: 32, fails: None }));
        assert_eq!(tried, [16, 16, 32, 64]);
        assert_eq!(NOTHING.search(0.05, |_| Err("lost")), Err("lost"));
    }
}
