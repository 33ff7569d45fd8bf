//! How the rows of a tick are grouped into batches.

use crate::engine::backend::{Batches, Group};

/// Frames of padding that cost less than another dispatch.
const SLACK: usize = 64;

/// Groups consecutive rows, so that at most about half of a batch is padding. A row with more frames than the first of a batch
/// begins another; rows sorted by falling frames have none.
pub(super) fn groups(
    frames: impl Iterator<Item = usize>,
    batches: &impl Batches,
    most: usize,
    groups: &mut Vec<Group>,
) {
    groups.clear();
    let mut real = 0;
    for (row, frames) in frames.enumerate() {
        if let Some(group) = groups.last_mut() {
            let rows = group.rows.len() + 1;
            let fits = frames <= group.steps && rows <= batches.most_rows(group.steps);
            if fits && rows * group.steps <= 2 * (real + frames) + SLACK {
                group.rows.end = row + 1;
                real += frames;
                continue;
            }
        }
        groups.push(Group { rows: row..row + 1, steps: batches.steps(frames, most) });
        real = frames;
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    /// Batches of powers of two, of at most ten rows.
    struct Tens;

    impl Batches for Tens {
        fn steps(&self, frames: usize, most: usize) -> usize {
            frames.next_power_of_two().min(most)
        }

        fn most_rows(&self, _: usize) -> usize {
            10
        }
    }

    #[test]
    fn rows_of_similar_length_share_a_batch() {
        let mut all = Vec::new();
        let of = |frames: &[usize], all: &mut Vec<Group>| groups(frames.iter().copied(), &Tens, 100, all);
        of(&[], &mut all);
        assert!(all.is_empty());
        of(&[1; 25], &mut all);
        let ones = |rows: Range<usize>| Group { rows, steps: 1 };
        assert_eq!(all, [ones(0..10), ones(10..20), ones(20..25)]);
        // One long row does not lengthen all of them.
        of(&[100, 1, 1, 1], &mut all);
        assert_eq!(all, [Group { rows: 0..2, steps: 100 }, Group { rows: 2..4, steps: 1 }]);
        of(&[3, 2, 2, 1], &mut all);
        assert_eq!(all, [Group { rows: 0..4, steps: 4 }]);
        // Rows that have waited come first, even with few frames.
        of(&[1, 1, 4, 3], &mut all);
        assert_eq!(all, [ones(0..2), Group { rows: 2..4, steps: 4 }]);
    }
}
