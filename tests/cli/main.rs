//! The tool as people and scripts have it: a program with arguments, streams, signals and an exit status.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod growing;
mod hostile;
mod looking;
mod making;
mod measuring;
mod mending;
mod running;
mod terminals;
mod transfers;
mod watching;
