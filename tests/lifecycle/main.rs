//! How participants attach, detach, take over seats and positions, and observe each other.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod detach;
mod disconnect;
mod exclusive;
mod foreign;
mod fork;
mod observer;
mod orphans;
mod processes;
mod redelivery;
mod seats;
mod takeover;
mod tombstones;
