//! The checkers' atomics, with two additions: a thread can be killed before any store, and loads
//! can be read-modify-writes.
//!
//! loom 0.7 skips interleavings in which a thread loads an atomic that it stores to later. A load
//! made as `fetch_or(0)` is not skipped, but sees only the newest value. So each model runs both
//! ways ([`has_rmw_loads`]).
//!
//! With such loads, stores become swaps. loom does not exclude that a plain store comes between the
//! two halves of another thread's read-modify-write. It would then consider the written-back value
//! newer than the stored one.

use super::checker::sync::atomic;
use super::kill::count_store;
use core::sync::atomic::Ordering;
use std::env;
use std::sync::OnceLock;

pub(crate) use atomic::fence;

/// Whether the environment requests loads that are read-modify-writes.
pub(crate) fn has_rmw_loads() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| env::var_os("SLIPRING_RMW_LOADS").is_some())
}

macro_rules! atomic {
    ($name:ident, $word:ty) => {
        #[derive(Debug)]
        pub(crate) struct $name(atomic::$name);

        impl $name {
            pub(crate) fn new(value: $word) -> Self {
                Self(atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $word {
                if has_rmw_loads() {
                    self.0.fetch_or(0, order)
                } else {
                    self.0.load(order)
                }
            }

            pub(crate) fn store(&self, value: $word, order: Ordering) {
                count_store();
                if has_rmw_loads() {
                    self.0.swap(value, order);
                } else {
                    self.0.store(value, order);
                }
            }

            pub(crate) fn fetch_add(&self, value: $word, order: Ordering) -> $word {
                count_store();
                self.0.fetch_add(value, order)
            }

            pub(crate) fn fetch_or(&self, bits: $word, order: Ordering) -> $word {
                count_store();
                self.0.fetch_or(bits, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $word,
                new: $word,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$word, $word> {
                count_store();
                self.0.compare_exchange(current, new, success, failure)
            }
        }
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
