//! Blocking calls: their deadlines, wake-ups and system calls.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod blocking;
mod membarrier;
mod system_calls;
