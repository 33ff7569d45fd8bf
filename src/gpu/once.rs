//! Values that are created once for each key, also under concurrency.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// Values are created once per key. Concurrent callers of one key wait for the first; callers of other keys do not wait. No lock
/// is held while a future is pending.
#[derive(Debug)]
pub(super) struct Once<K, V>(Mutex<HashMap<K, Slot<V>>>);

type Slot<V> = Arc<Mutex<Option<V>>>;

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Once<K, V> {
    /// The value of `key`, created by `make` if there is none.
    ///
    /// # Errors
    /// Those of `make`; the next caller then creates the value.
    pub(super) fn get_or_make<E>(&self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let slot = lock(&self.0).entry(key).or_default().clone();
        let mut slot = lock(&slot);
        if let Some(value) = &*slot {
            return Ok(value.clone());
        }
        let value = make()?;
        *slot = Some(value.clone());
        Ok(value)
    }

    /// Removes the value: the next caller of `key` creates it again.
    pub(super) fn forget(&self, key: &K) {
        lock(&self.0).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn threads_that_ask_at_once_get_the_one_value() {
        let (once, made) = (Once::default(), AtomicUsize::new(0));
        let make = || {
            thread::sleep(Duration::from_millis(20));
            Ok::<_, ()>(made.fetch_add(1, Ordering::SeqCst))
        };
        thread::scope(|scope| {
            let asking = [(); 8].map(|()| scope.spawn(|| once.get_or_make("key", make)));
            for thread in asking {
                assert_eq!(thread.join().expect("no panic"), Ok(0));
            }
        });
        assert_eq!(once.get_or_make("other", make), Ok(1));
    }

    #[test]
    fn a_failed_or_removed_value_is_created_again() {
        let once = Once::default();
        assert_eq!(once.get_or_make(1, || Err("refused")), Err("refused"));
        assert_eq!(once.get_or_make(1, || Ok::<_, &str>("a")), Ok("a"));
        assert_eq!(once.get_or_make(1, || Ok::<_, &str>("b")), Ok("a"));
        once.forget(&1);
        assert_eq!(once.get_or_make(1, || Ok::<_, &str>("b")), Ok("b"));
    }
}
