//! Every error: its variant, its fields and its text.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod io_conversion;
mod kernel;
mod opening;
mod operations;
