//! crossbeam's queues, between threads of one process.

use crate::channel::{Channel, External, Setup};
use crate::workload::{Experiment, Workload};
use bench_support::{Body, CAPACITY, Result, Sink, Source, SpinWait};
use crossbeam_channel::{Receiver, Sender, bounded};
use crossbeam_queue::ArrayQueue;
use std::sync::Arc;

fn unsupported(experiment: &Experiment) -> Option<&'static str> {
    match experiment.workload {
        Workload::Batch | Workload::MpmcBatch => Some("no batches"),
        Workload::InPlace => Some("moves"),
        _ => None,
    }
}

pub(crate) struct Queue<B>(Arc<ArrayQueue<B>>);

impl<B: Body> Channel<B> for Queue<B> {
    type Sink = Waiting<B>;
    type Source = Waiting<B>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::Wake => Some("does not sleep"),
            _ => unsupported(experiment),
        }
    }

    fn new(_setup: &Setup) -> Result<Self> {
        Ok(Self(Arc::new(ArrayQueue::new(CAPACITY))))
    }

    fn sink(&self, setup: &Setup) -> Result<Self::Sink> {
        Ok(Waiting(self.0.clone(), setup.wait))
    }

    fn source(&self, setup: &Setup) -> Result<Self::Source> {
        Ok(Waiting(self.0.clone(), setup.wait))
    }
}

pub(crate) struct Waiting<B>(Arc<ArrayQueue<B>>, SpinWait);

impl<B: Body> Sink<B> for Waiting<B> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        self.1.until(|| self.0.push(*message).ok());
        Ok(())
    }
}

impl<B: Body> Source<B> for Waiting<B> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        visit(&self.1.until(|| self.0.pop()));
        Ok(())
    }
}

/// It always spins briefly before it sleeps; this cannot be configured.
pub(crate) struct BoundedChannel<B>(Sender<B>, Receiver<B>);

impl<B: Body> Channel<B> for BoundedChannel<B> {
    type Sink = External<Sender<B>>;
    type Source = External<Receiver<B>>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        unsupported(experiment)
    }

    fn new(_setup: &Setup) -> Result<Self> {
        let (sender, receiver) = bounded(CAPACITY);
        Ok(Self(sender, receiver))
    }

    fn sink(&self, _setup: &Setup) -> Result<Self::Sink> {
        Ok(External(self.0.clone()))
    }

    fn source(&self, _setup: &Setup) -> Result<Self::Source> {
        Ok(External(self.1.clone()))
    }
}

impl<B: Body> Sink<B> for External<Sender<B>> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        Ok(self.0.send(*message).map_err(|_| "the channel is closed")?)
    }
}

impl<B: Body> Source<B> for External<Receiver<B>> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        visit(&self.0.recv()?);
        Ok(())
    }
}
