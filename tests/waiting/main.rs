//! Blocking calls: deadlines, wake-ups, and the system calls that they make.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod blocking;
mod membarrier;
mod system_calls;
