//! A subject as the workloads see it: channels for messages, each with a sink and a source.

use crate::workload::{Experiment, Workload};
use bench_support::{Body, Result, Sink, Source, SpinWait};

/// The parameters of a channel.
pub(crate) struct Setup {
    pub(crate) experiment: Experiment,
    /// The prefix of all names that the channel creates, without a slash.
    pub(crate) name: String,
    /// How a side that does not sleep waits.
    pub(crate) wait: SpinWait,
}

impl Setup {
    /// Whether each side blocks until it is woken.
    pub(crate) fn sleeps(&self) -> bool {
        self.experiment.workload == Workload::Wake
    }
}

/// A channel for messages, created by the main process before the members start.
pub(crate) trait Channel<B: Body>: Sized + 'static {
    type Sink: Sink<B> + 'static;
    type Source: Source<B> + 'static;

    /// The reason why the subject cannot run an experiment, or `None`.
    fn unsupported(_experiment: &Experiment) -> Option<&'static str> {
        None
    }

    fn new(setup: &Setup) -> Result<Self>;

    /// Opens the sink, in the process that uses it.
    fn sink(&self, setup: &Setup) -> Result<Self::Sink>;

    /// Opens the source. Another process has opened the sink, or is about to.
    fn source(&self, setup: &Setup) -> Result<Self::Source>;
}

/// A sink or source type of another crate.
pub(crate) struct External<E>(pub(crate) E);
