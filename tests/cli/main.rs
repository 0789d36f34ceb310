//! The tool as a process: arguments, standard streams, signals and exit status.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod bench;
mod create_rm;
mod doctor_gc;
mod grow;
mod hostile;
mod list_stat;
mod program;
mod tap_top;
mod terminals;
mod transfers;
