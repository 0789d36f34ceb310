//! The library that all benchmarks share: numbered messages and their checks, processes that work
//! in turns, memory that processes share, the floor, processors, and medians.

mod board;
#[cfg(feature = "criterion")]
mod crew;
#[cfg(feature = "criterion")]
mod criterion_points;
mod floor;
mod lane;
mod memory;
mod message;
mod processors;
mod slipring_transport;
mod spin;
mod stats;
mod transport;
mod vyukov;

pub use board::{Board, Kind, Task, futex};
#[cfg(feature = "criterion")]
pub use crew::{Point, Way};
#[cfg(feature = "criterion")]
pub use criterion_points::{measure, run};
pub use crossbeam_utils::CachePadded;
pub use floor::Floor;
pub use lane::{Echoer, Lane, Pinger, Receiver, Sender, sum_of_shares};
pub use memory::{Names, Shared, now, prefix, share, share_with_forks};
pub use message::{BATCH, Body, Check, sum_of_all};
pub use processors::{processors, run_on, run_on_any};
pub use slipring_transport::{SlipringSink, SlipringSource};
pub use spin::SpinWait;
pub use stats::{Distance, Spread, median, quantile};
pub use transport::{Method, Sink, Source};
pub use vyukov::VyukovQueue;

use std::error::Error;

/// Benchmarks end with any error.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Messages in a ring by default.
pub const CAPACITY: usize = 1024;
