//! Helpers for messages: lists, counts and lengths.

use std::borrow::Cow;
use std::fmt;

/// The longest message in bytes.
const LONGEST: usize = 2000;
/// How many names a message lists.
const NAMES: usize = 20;
/// The longest name in a list, in characters.
const NAME: usize = 72;

/// Names for a message: `a, b, c`, at most 20 and then the number of the others. In a name of more than 72 characters the middle
/// is left out.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<_> = names.iter().take(NAMES).map(|name| shortened(name.as_ref(), NAME)).collect();
    match names.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A number of things for a message: `1 step`, `2 steps`.
pub fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

/// A message of at most 2000 bytes: in a longer one the middle is left out.
pub fn limited(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return text.into();
    }
    // In characters, so that the bytes of the longest encoding fit too.
    shortened(text, if text.is_ascii() { LONGEST - 2 } else { LONGEST / 4 })
}

/// `text` with its middle left out where it has more than `most` characters.
fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= most {
        return text.into();
    }
    let at = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    let tail = (most - 1) / 3;
    format!("{}…{}", &text[..at(most - 1 - tail)], &text[at(count - tail)..]).into()
}

/// An element by its flat index, in words: `[2, 0, 1] of [3, 4, 5]`, or `7` in a vector.
pub(crate) struct Place<'a>(pub(crate) usize, pub(crate) &'a [usize]);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(index, shape) = *self;
        if shape.len() < 2 || shape.contains(&0) {
            return write!(f, "{index}");
        }
        let mut rest = index;
        let mut place: Vec<usize> = shape
            .iter()
            .rev()
            .map(|size| {
                let at = rest % size;
                rest /= size;
                at
            })
            .collect();
        place.reverse();
        write!(f, "{place:?} of {shape:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_twenty_names_and_then_a_count() {
        let names = |count: usize| (0..count).map(|i| format!("n{i}")).collect::<Vec<_>>();
        assert_eq!(listed(&names(0)), "");
        assert_eq!(listed(&["a", "b"]), "a, b");
        assert!(listed(&names(20)).ends_with("n18, n19"));
        assert!(listed(&names(21)).ends_with("n18, n19 and 1 more"));
        assert!(listed(&names(100_000)).ends_with("n19 and 99980 more"));
        let long = format!("begin{}end", "ü".repeat(1000));
        let shown = listed(&[long]);
        assert!(shown.starts_with("beginü") && shown.ends_with("üend"), "{shown}");
        assert_eq!(shown.chars().count(), NAME);
    }
}
