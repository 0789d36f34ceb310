//! Namespaces, limits and permissions that a process may run under.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod isolation;
mod restrictions;
mod sysv_ids;
