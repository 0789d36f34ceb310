//! What a subject is, seen from the workloads: ways for messages, each with two ends.

use crate::workload::Experiment;
use common::{Body, Patience, Result, with_numbered};

/// What a way is made for.
pub(crate) struct Setup {
    pub(crate) experiment: Experiment,
    /// What the names of all that it makes start with, without a slash.
    pub(crate) name: String,
    /// How those look again who don't sleep.
    pub(crate) patience: Patience,
}

impl Setup {
    /// Whether each side sleeps until it is woken.
    pub(crate) fn sleeps(&self) -> bool {
        self.experiment.workload == crate::workload::Workload::Wake
    }
}

/// A way for messages, made by the conductor before the others start.
pub(crate) trait Link<B: Body>: Sized + 'static {
    type Outlet: Outlet<B> + 'static;
    type Inlet: Inlet<B> + 'static;

    /// Why it can't take part, if it can't.
    fn lacks(_experiment: &Experiment) -> Option<&'static str> {
        None
    }

    fn new(setup: &Setup) -> Result<Self>;

    /// Opens the end that sends, in the process that uses it.
    fn outlet(&self, setup: &Setup) -> Result<Self::Outlet>;

    /// Opens the end that receives. By then somebody opens the other one, or has.
    fn inlet(&self, setup: &Setup) -> Result<Self::Inlet>;
}

/// What nobody asks of an end that lacks it.
pub(crate) const NOT_OFFERED: &str = "not offered";

pub(crate) trait Outlet<B: Body> {
    fn send(&mut self, message: &B) -> Result<()>;

    #[inline(always)]
    fn send_numbered(&mut self, number: u64) -> Result<()> {
        with_numbered(number, |message| self.send(message))
    }

    /// Sends [`BATCH`](common::BATCH) messages.
    fn send_batch(&mut self, _first: u64) -> Result<()> {
        Err(NOT_OFFERED.into())
    }

    /// Makes the message where it is to lie.
    fn send_in_place(&mut self, _number: u64) -> Result<()> {
        Err(NOT_OFFERED.into())
    }
}

pub(crate) trait Inlet<B: Body> {
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
