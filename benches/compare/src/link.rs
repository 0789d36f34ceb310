//! What a subject is, seen from the workloads: ways for messages, each with two ends.

use crate::workload::{Experiment, Workload};
use bench_support::{Body, Source, Sink, SpinWait, Result};

/// What a way is made for.
pub(crate) struct Setup {
    pub(crate) experiment: Experiment,
    /// What the names of all that it makes start with, without a slash.
    pub(crate) name: String,
    /// How those look again who don't sleep.
    pub(crate) wait: SpinWait,
}

impl Setup {
    /// Whether each side sleeps until it is woken.
    pub(crate) fn sleeps(&self) -> bool {
        self.experiment.workload == Workload::Wake
    }
}

/// A way for messages, made by the conductor before the others start.
pub(crate) trait Link<B: Body>: Sized + 'static {
    type Sink: Sink<B> + 'static;
    type Source: Source<B> + 'static;

    /// Why it can't take part, if it can't.
    fn lacks(_experiment: &Experiment) -> Option<&'static str> {
        None
    }

    fn new(setup: &Setup) -> Result<Self>;

    /// Opens the end that sends, in the process that uses it.
    fn sink(&self, setup: &Setup) -> Result<Self::Sink>;

    /// Opens the end that receives. By then somebody opens the other one, or has.
    fn source(&self, setup: &Setup) -> Result<Self::Source>;
}

/// An end of somebody else's.
pub(crate) struct Foreign<E>(pub(crate) E);
