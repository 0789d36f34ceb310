//! What all benchmarks stand on: messages that follow from their numbers and checks of them, memory
//! that processes share, the floor, processors, and medians.

mod body;
mod floor;
mod memory;
mod patience;
mod plain;
mod processors;
mod tally;

pub use body::{BATCH, Body, Check, sum_of_all, with_numbered};
pub use floor::Floor;
pub use memory::{Line, Names, Shared, now, prefix, share, share_with_forks};
pub use patience::Patience;
pub use plain::Plain;
pub use processors::{processors, run_on};
pub use tally::{Distance, Spread, median, quantile};

use std::error::Error;

/// Benchmarks end with whatever went wrong.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Messages in a ring, unless said.
pub const CAPACITY: usize = 1024;
