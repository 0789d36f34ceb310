//! An instance of a subject for one experiment: a channel, and for round trips one back.

use crate::channel::{Channel, Setup};
use crate::workload::Experiment;
use bench_support::{Body, Echoer, Lane, Pinger, Receiver, Result, Sender, SpinWait};
use std::marker::PhantomData;

/// The side of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Producer(u64),
    Consumer(u64),
}

pub(crate) enum Instance {
    /// Between processes.
    Processes(Box<dyn ProcessLanes>),
    /// Between threads of one process.
    Threads(Box<dyn ThreadLanes>),
}

pub(crate) trait ProcessLanes {
    /// Opens the lane of one side, in the process that uses it.
    fn lane(&self, side: Side) -> Result<Box<dyn Lane>>;
}

pub(crate) trait ThreadLanes {
    /// Opens the lane of one side, for a thread.
    fn lane(&self, side: Side) -> Result<Box<dyn Lane + Send>>;
}

/// The channels of an instance.
pub(crate) struct Directions<B, L> {
    setup: Setup,
    there: L,
    back: Option<L>,
    body: PhantomData<B>,
}

impl<B: Body, L: Channel<B>> Directions<B, L> {
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

    /// Both sides open the sink first, because the peer's source may wait for it.
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

impl<B: Body, L: Channel<B>> ProcessLanes for Directions<B, L> {
    fn lane(&self, side: Side) -> Result<Box<dyn Lane>> {
        Ok(match (side, &self.back) {
            (Side::Producer(index), None) => Box::new(self.sender(index)?),
            (Side::Consumer(_), None) => Box::new(self.receiver()?),
            (Side::Producer(_), Some(back)) => Box::new(self.pinger(back)?),
            (Side::Consumer(_), Some(back)) => Box::new(self.echoer(back)?),
        })
    }
}

impl<B: Body, L: Channel<B>> ThreadLanes for Directions<B, L>
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
