//! The two ends of a way for messages, seen from those who send and receive.

use crate::Result;
use crate::body::Body;
use std::mem::MaybeUninit;

/// How messages are sent and received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Single,
    Batch,
    InPlace,
}

/// What nobody asks of an end that lacks it.
const NOT_OFFERED: &str = "not offered";

pub trait Outlet<B: Body> {
    fn send(&mut self, message: &B) -> Result<()>;

    /// Makes the message where it stays: a large one is not moved.
    #[inline(always)]
    fn send_numbered(&mut self, number: u64) -> Result<()> {
        let mut message = MaybeUninit::<B>::uninit();
        // SAFETY: room for a message.
        unsafe { B::fill(message.as_mut_ptr(), number) }
        // SAFETY: every word was written.
        self.send(unsafe { message.assume_init_ref() })
    }

    /// Sends [`BATCH`](crate::BATCH) messages.
    fn send_batch(&mut self, _first: u64) -> Result<()> {
        Err(NOT_OFFERED.into())
    }

    /// Makes the message where it is to lie.
    fn send_in_place(&mut self, _number: u64) -> Result<()> {
        Err(NOT_OFFERED.into())
    }
}

pub trait Inlet<B: Body> {
    fn receive(&mut self, see: impl FnOnce(&B)) -> Result<()>;

    /// Receives at least one message, and says how many.
    fn receive_batch(&mut self, _most: usize, _see: impl FnMut(&B)) -> Result<usize> {
        Err(NOT_OFFERED.into())
    }

    /// Shows the message where it lies.
    fn receive_in_place(&mut self, _see: impl FnOnce(&B)) -> Result<()> {
        Err(NOT_OFFERED.into())
    }
}
