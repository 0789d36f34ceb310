//! Tests that replace a function of the whole program, for which they need a separate binary:
//! `allocation` installs a global allocator, and `clocks` defines `clock_gettime`.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod allocation;
mod clocks;
