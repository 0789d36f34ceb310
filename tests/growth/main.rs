//! Rings that grow and shrink while they are in use.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod at_most_once;
mod growing;
mod interrupted;
mod no_memory;
mod observing;
