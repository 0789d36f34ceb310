//! Behaviour that depends on the backing: files, System V segments, memfds, memory options,
//! descriptors.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod descriptors;
mod files;
mod memfd;
mod memory_policy;
mod sysv;
