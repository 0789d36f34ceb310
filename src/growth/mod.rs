//! Growth: the segments of an object, appending another one, and reclaiming the oldest.

mod append;
mod chain;
mod reclaim;

pub(crate) use self::append::append;
pub(crate) use self::chain::{Chain, RETRY_PAUSE, lock_wait, pause_before};
pub(crate) use self::reclaim::{needs_reclaim, retire_and_reclaim};
