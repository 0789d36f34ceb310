//! How participants attach, detach, succeed to seats, adopt messages, and observe rings.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod detach;
mod disconnect;
mod exclusive;
mod exclusive_fork;
mod foreign;
mod fork;
mod observer;
mod orphans;
mod processes;
mod redelivery;
mod seats;
mod takeover;
mod tombstones;
