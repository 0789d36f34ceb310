//! The sending and the receiving side of a channel, as benchmarks use them.

use crate::Result;
use crate::message::Body;
use std::mem::MaybeUninit;

/// How messages are sent and received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Single,
    Batch,
    InPlace,
}

/// Benchmarks do not call a method that a side does not offer.
const NOT_OFFERED: &str = "not offered";

pub trait Sink<B: Body> {
    fn send(&mut self, message: &B) -> Result<()>;

    /// Builds the message in its final place, so that a large one is not moved.
    #[inline(always)]
    fn send_numbered(&mut self, number: u64) -> Result<()> {
        let mut message = MaybeUninit::<B>::uninit();
        // SAFETY: room for a message.
        unsafe { B::fill(message.as_mut_ptr(), number) }
        // SAFETY: every word was written.
        self.send(unsafe { message.assume_init_ref() })
    }

    /// Sends messages until the channel is full.
    fn fill(&mut self) -> Result<()> {
        Err(NOT_OFFERED.into())
    }

    /// Sends [`BATCH`](crate::BATCH) messages.
    fn send_batch(&mut self, _first: u64) -> Result<()> {
        Err(NOT_OFFERED.into())
    }

    /// Builds the message in the slot.
    fn send_in_place(&mut self, _number: u64) -> Result<()> {
        Err(NOT_OFFERED.into())
    }
}

pub trait Source<B: Body> {
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()>;

    /// Receives at least one message, and returns how many.
    fn receive_batch(&mut self, _most: usize, _see: impl FnMut(&B)) -> Result<usize> {
        Err(NOT_OFFERED.into())
    }

    /// Receives a message by value.
    fn receive_value(&mut self) -> Result<B> {
        Err(NOT_OFFERED.into())
    }

    /// Receives messages until the channel is empty.
    fn drain(&mut self) -> Result<()> {
        Err(NOT_OFFERED.into())
    }

    /// Visits the message in its slot.
    fn receive_in_place(&mut self, _see: impl FnOnce(&B)) -> Result<()> {
        Err(NOT_OFFERED.into())
    }
}
