//! Tests that replace a function of the whole program, and need a binary of their own for that:
//! `allocation` installs a global allocator, and `clocks` defines `clock_gettime`.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod allocation;
mod clocks;
