//! The algorithms, on words and payload cells alone: they know nothing of mappings, which is
//! what lets a model checker run the very code that ships.
//!
//! A *position* is a 64-bit count of messages since the ring was made; it never wraps in
//! practice and is computed modulo 2^64 all the same, because a peer may have written it.
//! A position's *slot* is `position & (capacity - 1)`.

pub(crate) mod closed;
pub(crate) mod slot;
pub(crate) mod spsc;
pub(crate) mod tenancy;

#[cfg(all(test, any(loom, shuttle)))]
mod models;

/// The fewest slots: at 1, "full" and "free for the next lap" would be the same stamp.
pub(crate) const MIN_CAPACITY: u64 = 2;
/// The most slots: stamps are compared modulo 2^32.
pub(crate) const MAX_CAPACITY: u64 = 1 << 30;
