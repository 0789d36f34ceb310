//! shaq 5.1: one to one, blocking or spinning, and many to many. It offers only batches, also of
//! one message.

use super::shaq::{Waiting, describe, file, turns};
use crate::channel::{Channel, External, Setup};
use crate::workload::Experiment;
use bench_support::{BATCH, Body, CAPACITY, Result, Sink, Source};
use shaq5::{mpmc, spsc};
use std::fs::File;
use std::mem::forget;
use std::num::NonZeroUsize;
use std::time::Duration;

const ONE: NonZeroUsize = NonZeroUsize::MIN;
const MANY: NonZeroUsize = NonZeroUsize::new(BATCH).expect("batches have messages");

pub(crate) struct OneToOne(File);

impl OneToOne {
    fn new<B: Body>(setup: &Setup) -> Result<Self> {
        let file = file(setup)?;
        let size = spsc::minimum_file_size::<B>(CAPACITY);
        // SAFETY: no other caller initialises this file.
        unsafe { spsc::Producer::<B>::create(&file, size) }.map_err(describe)?;
        Ok(Self(file))
    }

    fn producer<B: Body>(&self) -> Result<spsc::Producer<B>> {
        // SAFETY: the one producer, of the type that the queue was made for.
        Ok(unsafe { spsc::Producer::join(&self.0) }.map_err(describe)?)
    }

    fn consumer<B: Body>(&self) -> Result<spsc::Consumer<B>> {
        // SAFETY: the one consumer, of the type that the queue was made for.
        Ok(unsafe { spsc::Consumer::join(&self.0) }.map_err(describe)?)
    }
}

impl<B: Body> Channel<B> for OneToOne {
    type Sink = Waiting<spsc::Producer<B>>;
    type Source = Waiting<spsc::Consumer<B>>;

    fn new(setup: &Setup) -> Result<Self> {
        Self::new::<B>(setup)
    }

    fn sink(&self, setup: &Setup) -> Result<Self::Sink> {
        Ok(Waiting(self.producer()?, setup.wait))
    }

    fn source(&self, setup: &Setup) -> Result<Self::Source> {
        Ok(Waiting(self.consumer()?, setup.wait))
    }
}

impl<B: Body> Waiting<spsc::Producer<B>> {
    /// Sends as many of the remaining messages as fit, in one batch. A batch that finds no room
    /// does not try again.
    #[inline(always)]
    fn send_all(&mut self, messages: usize, mut fill: impl FnMut(*mut B)) {
        let mut left = messages;
        let end = &mut self.0;
        self.1.until(|| {
            let mut batch = end.write_batch();
            let before = left;
            // SAFETY: filled before the batch is dropped.
            while left > 0
                && let Some(place) = unsafe { batch.try_as_mut() }
            {
                fill(place.as_mut_ptr());
                left -= 1;
            }
            if left == before {
                // An empty batch would needlessly store to a line that the consumer reads.
                forget(batch);
            }
            (left == 0).then_some(())
        });
    }
}

impl<B: Body> Sink<B> for Waiting<spsc::Producer<B>> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        self.send_all(1, |place| {
            // SAFETY: room for a message.
            unsafe { place.write(*message) }
        });
        Ok(())
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) -> Result<()> {
        let mut number = first;
        self.send_all(BATCH, |place| {
            // SAFETY: room for a message.
            unsafe { B::fill(place, number) }
            number += 1;
        });
        Ok(())
    }

    #[inline(always)]
    fn send_in_place(&mut self, number: u64) -> Result<()> {
        self.send_all(1, |place| {
            // SAFETY: room for a message.
            unsafe { B::fill(place, number) }
        });
        Ok(())
    }
}

impl<B: Body> Source<B> for Waiting<spsc::Consumer<B>> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let end = &mut self.0;
        let mut visit = Some(visit);
        self.1.until(|| {
            let batch = end.try_reserve_read_batch(ONE)?;
            visit.take()?(&batch[0]);
            Some(())
        });
        Ok(())
    }

    #[inline(always)]
    fn receive_batch(&mut self, most: usize, mut visit: impl FnMut(&B)) -> Result<usize> {
        let most = NonZeroUsize::new(most).ok_or("none to receive")?;
        let end = &mut self.0;
        Ok(self.1.until(|| {
            let batch = end.try_reserve_read_batch(most)?;
            batch.iter().for_each(&mut visit);
            Some(batch.len())
        }))
    }

    #[inline(always)]
    fn receive_in_place(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        self.receive(visit)
    }
}

/// Its consumers always check 2048 times before they sleep.
pub(crate) struct Waking(OneToOne);

impl<B: Body> Channel<B> for Waking {
    type Sink = Waiting<spsc::Producer<B>>;
    type Source = External<spsc::Consumer<B>>;

    fn new(setup: &Setup) -> Result<Self> {
        Ok(Self(OneToOne::new::<B>(setup)?))
    }

    fn sink(&self, setup: &Setup) -> Result<Self::Sink> {
        self.0.sink(setup)
    }

    fn source(&self, _setup: &Setup) -> Result<Self::Source> {
        Ok(External(self.0.consumer()?))
    }
}

impl<B: Body> Source<B> for External<spsc::Consumer<B>> {
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let batch = self.0.reserve_read_batch_timeout(ONE, Duration::MAX)?;
        visit(&batch[0]);
        Ok(())
    }
}

pub(crate) struct ManyToMany(File);

impl<B: Body> Channel<B> for ManyToMany {
    type Sink = Waiting<mpmc::Producer<B>>;
    type Source = Waiting<mpmc::Consumer<B>>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        turns(experiment)
    }

    fn new(setup: &Setup) -> Result<Self> {
        let file = file(setup)?;
        let size = mpmc::minimum_file_size::<B>(CAPACITY);
        // SAFETY: no other caller initialises this file.
        unsafe { mpmc::Producer::<B>::create(&file, size) }.map_err(describe)?;
        Ok(Self(file))
    }

    fn sink(&self, setup: &Setup) -> Result<Self::Sink> {
        // SAFETY: of the type that the queue was made for.
        let end = unsafe { mpmc::Producer::join(&self.0) }.map_err(describe)?;
        Ok(Waiting(end, setup.wait))
    }

    fn source(&self, setup: &Setup) -> Result<Self::Source> {
        // SAFETY: of the type that the queue was made for.
        let end = unsafe { mpmc::Consumer::join(&self.0) }.map_err(describe)?;
        Ok(Waiting(end, setup.wait))
    }
}

impl<B: Body> Sink<B> for Waiting<mpmc::Producer<B>> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        let end = &self.0;
        self.1.until(|| end.try_write(*message).ok());
        Ok(())
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) -> Result<()> {
        let end = &self.0;
        // SAFETY: all of them are filled before the batch is dropped.
        let attempt = || unsafe { end.try_reserve_write_batch(MANY) };
        let mut batch = self.1.until(attempt);
        for place in 0..BATCH {
            // SAFETY: one of the reserved slots.
            let slot = unsafe { batch.as_mut(place) };
            // SAFETY: room for a message.
            unsafe { B::fill(slot.as_mut_ptr(), first + place as u64) }
        }
        Ok(())
    }
}

impl<B: Body> Source<B> for Waiting<mpmc::Consumer<B>> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let end = &self.0;
        visit(&self.1.until(|| end.try_read()));
        Ok(())
    }

    #[inline(always)]
    fn receive_batch(&mut self, most: usize, visit: impl FnMut(&B)) -> Result<usize> {
        let most = NonZeroUsize::new(most).ok_or("none to receive")?;
        let end = &self.0;
        let batch = self.1.until(|| end.try_reserve_read_batch(most));
        batch.iter().for_each(visit);
        Ok(batch.len())
    }
}
