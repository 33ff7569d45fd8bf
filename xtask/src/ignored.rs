//! Compares the ignored tests with `tests/ignored.txt`, which lists the permitted ones, where, and why.

use std::collections::BTreeMap;

use crate::process::{self, Error};
use crate::suites;

/// Where a test is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// Where the published files are not beside the repository, and nowhere else.
    WithoutShared,
    /// Where the machine lacks something that only the test can detect: a driver's feature, a Python.
    SomeMachines,
}

impl Where {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "without ../shared" => Self::WithoutShared,
            "some machines" => Self::SomeMachines,
            _ => return None,
        })
    }
}

/// Compares the output of `cargo test` with the list.
pub fn check(output: &str) -> Result<(), Error> {
    const FILE: &str = "tests/ignored.txt";
    let mut listed = BTreeMap::new();
    for [name, place, _why] in suites::list::<3>(FILE, include_str!("../../tests/ignored.txt"))? {
        let place =
            Where::parse(place).ok_or_else(|| Error::Other(format!("{FILE}: `{place}` is no place")))?;
        listed.insert(name, place);
    }
    let has_shared = process::workspace_root().join("../shared").is_dir();
    let found = ignored(output);
    println!(
        "    {} ignored:",
        if found.len() == 1 { "1 test is".into() } else { format!("{} tests are", found.len()) }
    );
    for (name, reason) in &found {
        println!("    {name}: {reason}");
    }
    let faults = compare(&listed, &found, has_shared);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::Other(format!("{FILE} and the ignored tests differ:\n    {}", faults.join("\n    "))))
}

/// The ignored tests in the output of libtest and libtest-mimic, `test NAME ... ignored`, each with its reason.
fn ignored(output: &str) -> BTreeMap<&str, &str> {
    let lines = output.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
        let reason = rest.trim_start_matches([',', ' ', '(']).trim_end_matches(')');
        Some((name.trim(), if reason.is_empty() { "no reason given" } else { reason }))
    });
    lines.collect()
}

/// Tests that are ignored and should not be, and the other way round.
fn compare(listed: &BTreeMap<&str, Where>, found: &BTreeMap<&str, &str>, has_shared: bool) -> Vec<String> {
    let unlisted = found.iter().filter_map(|(name, reason)| match listed.get(name) {
        None => Some(format!("{name} is ignored ({reason}) and not listed")),
        Some(Where::WithoutShared) if has_shared => {
            Some(format!("{name} is ignored, and ../shared is there"))
        }
        Some(_) => None,
    });
    let unfound = listed.iter().filter(|(name, _)| !found.contains_key(*name));
    let unfound = unfound.filter_map(|(name, place)| match place {
        Where::WithoutShared if !has_shared => Some(format!("{name} was not ignored without ../shared")),
        Where::WithoutShared | Where::SomeMachines => None,
    });
    unlisted.chain(unfound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_harnesses_are_read() {
        let output = "running 3 tests\n\
            test a::b ... ok\n\
            test a::c ... ignored, writes files\n\
            test a::d ... ignored\n\
            test longer  ... ignored (without ../shared)\n\
            test result: ok. 1 passed; 3 ignored\n";
        let found: Vec<_> = ignored(output).into_iter().collect();
        let expected =
            [("a::c", "writes files"), ("a::d", "no reason given"), ("longer", "without ../shared")];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_differs_is_named() {
        let listed: BTreeMap<&str, Where> =
            [("published", Where::WithoutShared), ("matrices", Where::SomeMachines)].into();
        let found =
            |names: &[&'static str]| names.iter().map(|&name| (name, "why")).collect::<BTreeMap<_, _>>();
        let differ = |names: &[&'static str], has_shared| compare(&listed, &found(names), has_shared);
        assert_eq!(differ(&["published", "matrices"], false), [""; 0]);
        assert_eq!(differ(&[], true), [""; 0]);
        assert_eq!(differ(&["planted"], true), ["planted is ignored (why) and not listed"]);
        assert_eq!(differ(&["published"], true), ["published is ignored, and ../shared is there"]);
        assert_eq!(differ(&["matrices"], false), ["published was not ignored without ../shared"]);
    }
}
