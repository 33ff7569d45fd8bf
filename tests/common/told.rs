//! Events of the library's log, for tests that compare them with what was done.

use std::cell::RefCell;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

thread_local! {
    static TOLD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

struct OfThisThread;

impl Log for OfThisThread {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wgru::") && TOLD.with_borrow(Option::is_some)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {}: {}", record.level(), record.target(), record.args());
            TOLD.with_borrow_mut(|told| told.as_mut().map(|told| told.push(line)));
        }
    }

    fn flush(&self) {}
}

/// The result of `work`, and the events of this thread meanwhile: `WARN wgru::pool: …`.
pub fn told<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    static SET: Once = Once::new();
    SET.call_once(|| {
        log::set_logger(&OfThisThread).expect("no other logger");
        log::set_max_level(LevelFilter::Trace);
    });
    TOLD.set(Some(Vec::new()));
    let done = work();
    (done, TOLD.take().unwrap_or_default())
}

/// Asserts that exactly one event has this level, this target and these words.
#[track_caller]
pub fn assert_told(told: &[String], begins: &str, words: &[&str]) {
    let such = |line: &&String| line.starts_with(begins) && words.iter().all(|word| line.contains(word));
    assert_eq!(told.iter().filter(such).count(), 1, "{begins} {words:?}: {told:#?}");
}
