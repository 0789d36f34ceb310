//! What all benchmarks stand on: messages that follow from their numbers and checks of them, those who
//! send and receive them in turns, memory that processes share, the floor, processors, and medians.

mod board;
mod body;
mod ends;
mod floor;
mod lane;
mod memory;
mod patience;
mod plain;
mod processors;
mod tally;

pub use board::{Board, Kind, Task, futex};
pub use body::{BATCH, Body, Check, sum_of_all};
pub use ends::{Inlet, Method, Outlet};
pub use floor::Floor;
pub use lane::{Echoer, Lane, Pinger, Receiver, Sender, sum_of_shares};
pub use memory::{Line, Names, Shared, now, prefix, share, share_with_forks};
pub use patience::Patience;
pub use plain::Plain;
pub use processors::{processors, run_on, run_on_any};
pub use tally::{Distance, Spread, median, quantile};

use std::error::Error;

/// Benchmarks end with whatever went wrong.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Messages in a ring, unless said.
pub const CAPACITY: usize = 1024;
