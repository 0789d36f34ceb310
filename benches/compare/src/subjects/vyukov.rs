//! Dmitry Vyukov's queue in shared memory: the cost of an MPMC ring without crash tolerance.

use crate::channel::{Channel, Setup};
use crate::workload::Experiment;
use bench_support::{Body, Result, VyukovQueue};

/// The name of the shared memory.
pub(crate) struct Vyukov(String);

impl<B: Body> Channel<B> for Vyukov {
    type Sink = VyukovQueue<B>;
    type Source = VyukovQueue<B>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        use crate::workload::Workload::{InPlace, Mpmc, MpmcBatch, OneWay, RoundTrip};
        match experiment.workload {
            Mpmc => None,
            MpmcBatch => Some("no batches"),
            RoundTrip | OneWay | InPlace => Some("many to many"),
            _ => Some("does not sleep"),
        }
    }

    fn new(setup: &Setup) -> Result<Self> {
        let name = format!("/{}", setup.name);
        VyukovQueue::<B>::create(&name)?;
        Ok(Self(name))
    }

    fn sink(&self, _setup: &Setup) -> Result<Self::Sink> {
        VyukovQueue::open(&self.0)
    }

    fn source(&self, _setup: &Setup) -> Result<Self::Source> {
        VyukovQueue::open(&self.0)
    }
}
