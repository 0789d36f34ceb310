//! crossbeam's queues, between threads of one process.

use crate::link::{Foreign, Link, Setup};
use crate::workload::{Experiment, Workload};
use common::{Body, CAPACITY, Inlet, Outlet, Patience, Result};
use crossbeam_channel::{Receiver, Sender, bounded};
use crossbeam_queue::ArrayQueue;
use std::sync::Arc;

fn lacks(experiment: &Experiment) -> Option<&'static str> {
    match experiment.workload {
        Workload::Batch | Workload::MpmcBatch => Some("no batches"),
        Workload::InPlace => Some("moves"),
        _ => None,
    }
}

pub(crate) struct Queue<B>(Arc<ArrayQueue<B>>);

impl<B: Body> Link<B> for Queue<B> {
    type Outlet = Waiting<B>;
    type Inlet = Waiting<B>;

    fn lacks(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::Wake => Some("does not sleep"),
            _ => lacks(experiment),
        }
    }

    fn new(_setup: &Setup) -> Result<Self> {
        Ok(Self(Arc::new(ArrayQueue::new(CAPACITY))))
    }

    fn outlet(&self, setup: &Setup) -> Result<Self::Outlet> {
        Ok(Waiting(self.0.clone(), setup.patience))
    }

    fn inlet(&self, setup: &Setup) -> Result<Self::Inlet> {
        Ok(Waiting(self.0.clone(), setup.patience))
    }
}

pub(crate) struct Waiting<B>(Arc<ArrayQueue<B>>, Patience);

impl<B: Body> Outlet<B> for Waiting<B> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        self.1.until(|| self.0.push(*message).ok());
        Ok(())
    }
}

impl<B: Body> Inlet<B> for Waiting<B> {
    #[inline(always)]
    fn receive(&mut self, see: impl FnOnce(&B)) -> Result<()> {
        see(&self.1.until(|| self.0.pop()));
        Ok(())
    }
}

/// It spins a little before it sleeps, whatever is asked of it.
pub(crate) struct Channel<B>(Sender<B>, Receiver<B>);

impl<B: Body> Link<B> for Channel<B> {
    type Outlet = Foreign<Sender<B>>;
    type Inlet = Foreign<Receiver<B>>;

    fn lacks(experiment: &Experiment) -> Option<&'static str> {
        lacks(experiment)
    }

    fn new(_setup: &Setup) -> Result<Self> {
        let (sender, receiver) = bounded(CAPACITY);
        Ok(Self(sender, receiver))
    }

    fn outlet(&self, _setup: &Setup) -> Result<Self::Outlet> {
        Ok(Foreign(self.0.clone()))
    }

    fn inlet(&self, _setup: &Setup) -> Result<Self::Inlet> {
        Ok(Foreign(self.1.clone()))
    }
}

impl<B: Body> Outlet<B> for Foreign<Sender<B>> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        Ok(self.0.send(*message).map_err(|_| "the channel is closed")?)
    }
}

impl<B: Body> Inlet<B> for Foreign<Receiver<B>> {
    #[inline(always)]
    fn receive(&mut self, see: impl FnOnce(&B)) -> Result<()> {
        see(&self.0.recv()?);
        Ok(())
    }
}
