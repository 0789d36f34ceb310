//! A subject laid out for one experiment: a way there, and one back for round trips.

use crate::link::{Link, Setup};
use crate::workload::Experiment;
use bench_support::{Body, Echoer, Lane, SpinWait, Pinger, Receiver, Result, Sender};
use std::marker::PhantomData;

/// Which end of it a member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Producer(u64),
    Consumer(u64),
}

pub(crate) enum Fabric {
    /// For processes.
    Apart(Box<dyn Apart>),
    /// For threads of one process.
    Together(Box<dyn Together>),
}

pub(crate) trait Apart {
    /// Opens the ends of one side, in the process that uses them.
    fn lane(&self, side: Side) -> Result<Box<dyn Lane>>;
}

pub(crate) trait Together {
    /// Opens the ends of one side, for a thread.
    fn lane(&self, side: Side) -> Result<Box<dyn Lane + Send>>;
}

/// The ways of a link.
pub(crate) struct Ways<B, L> {
    setup: Setup,
    there: L,
    back: Option<L>,
    body: PhantomData<B>,
}

impl<B: Body, L: Link<B>> Ways<B, L> {
    pub(crate) fn new(experiment: &Experiment, name: &str) -> Result<Self> {
        let setup = |direction| Setup {
            experiment: *experiment,
            name: format!("{name}-{direction}"),
            wait: match experiment.is_crowded() {
                true => SpinWait::SHARED,
                false => SpinWait::DEDICATED,
            },
        };
        let back = match experiment.workload.is_round_trip() {
            true => Some(L::new(&setup("back"))?),
            false => None,
        };
        Ok(Self {
            there: L::new(&setup("there"))?,
            setup: setup("there"),
            back,
            body: PhantomData,
        })
    }

    fn sender(&self, index: u64) -> Result<Sender<B, L::Sink>> {
        Ok(Sender {
            sink: self.there.sink(&self.setup)?,
            method: self.setup.experiment.workload.method(),
            index,
            body: PhantomData,
        })
    }

    fn receiver(&self) -> Result<Receiver<B, L::Source>> {
        Ok(Receiver {
            source: self.there.source(&self.setup)?,
            method: self.setup.experiment.workload.method(),
            each: self.setup.experiment.each,
            body: PhantomData,
        })
    }

    /// Both sides open what sends first, as the other side may have to wait for it.
    fn pinger(&self, back: &L) -> Result<Pinger<B, L::Sink, L::Source>> {
        Ok(Pinger {
            sink: self.there.sink(&self.setup)?,
            source: back.source(&self.setup)?,
            body: PhantomData,
        })
    }

    fn echoer(&self, back: &L) -> Result<Echoer<B, L::Sink, L::Source>> {
        Ok(Echoer {
            sink: back.sink(&self.setup)?,
            source: self.there.source(&self.setup)?,
            body: PhantomData,
        })
    }
}

impl<B: Body, L: Link<B>> Apart for Ways<B, L> {
    fn lane(&self, side: Side) -> Result<Box<dyn Lane>> {
        Ok(match (side, &self.back) {
            (Side::Producer(index), None) => Box::new(self.sender(index)?),
            (Side::Consumer(_), None) => Box::new(self.receiver()?),
            (Side::Producer(_), Some(back)) => Box::new(self.pinger(back)?),
            (Side::Consumer(_), Some(back)) => Box::new(self.echoer(back)?),
        })
    }
}

impl<B: Body, L: Link<B>> Together for Ways<B, L>
where
    L::Sink: Send,
    L::Source: Send,
{
    fn lane(&self, side: Side) -> Result<Box<dyn Lane + Send>> {
        Ok(match (side, &self.back) {
            (Side::Producer(index), None) => Box::new(self.sender(index)?),
            (Side::Consumer(_), None) => Box::new(self.receiver()?),
            (Side::Producer(_), Some(back)) => Box::new(self.pinger(back)?),
            (Side::Consumer(_), Some(back)) => Box::new(self.echoer(back)?),
        })
    }
}
