//! System V segments, and the semaphores that are their locks.

mod segment;
mod semaphores;

pub(super) use self::segment::{SysvSegment, remove};
pub(super) use self::semaphores::SemaphoreGuard;
