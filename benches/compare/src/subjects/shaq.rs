//! shaq 3.0: one to one, and many to many.

use crate::channel::{Channel, Setup};
use crate::workload::{Experiment, Workload};
use bench_support::{BATCH, Body, CAPACITY, Result, Sink, Source, SpinWait};
use shaq::{mpmc, spsc};
use std::fmt::Debug;
use std::fs::{File, OpenOptions, remove_file};

const NO_SLEEP: &str = "does not sleep";

/// Creates the file of a queue, and unlinks its name at once.
pub(super) fn file(setup: &Setup) -> Result<File> {
    let path = format!("/dev/shm/{}", setup.name);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    remove_file(path)?;
    Ok(file)
}

pub(crate) struct OneToOne(File);

impl<B: Body> Channel<B> for OneToOne {
    type Sink = Waiting<spsc::Producer<B>>;
    type Source = Waiting<spsc::Consumer<B>>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        (experiment.workload == Workload::Wake).then_some(NO_SLEEP)
    }

    fn new(setup: &Setup) -> Result<Self> {
        let file = file(setup)?;
        let size = spsc::minimum_file_size::<B>(CAPACITY);
        // SAFETY: no other caller initialises this file.
        unsafe { spsc::Producer::<B>::create(&file, size) }.map_err(describe)?;
        Ok(Self(file))
    }

    fn sink(&self, setup: &Setup) -> Result<Self::Sink> {
        // SAFETY: the one producer, of the type that the queue was made for.
        let end = unsafe { spsc::Producer::join(&self.0) }.map_err(describe)?;
        Ok(Waiting(end, setup.wait))
    }

    fn source(&self, setup: &Setup) -> Result<Self::Source> {
        // SAFETY: the one consumer, of the type that the queue was made for.
        let end = unsafe { spsc::Consumer::join(&self.0) }.map_err(describe)?;
        Ok(Waiting(end, setup.wait))
    }
}

pub(super) fn describe(error: impl Debug) -> String {
    format!("{error:?}")
}

/// An endpoint and its way to wait.
pub(crate) struct Waiting<E>(pub(super) E, pub(super) SpinWait);

impl<B: Body> Waiting<spsc::Producer<B>> {
    /// Reserves room for one message, which is invisible until the next commit.
    #[inline(always)]
    fn reserve(&mut self) -> *mut B {
        // SAFETY: the caller fills it before it commits.
        if let Some(place) = unsafe { self.0.reserve() } {
            return place.as_ptr();
        }
        self.1.until(|| {
            self.0.sync();
            // SAFETY: as above.
            unsafe { self.0.reserve() }.map(|place| place.as_ptr())
        })
    }
}

impl<B: Body> Sink<B> for Waiting<spsc::Producer<B>> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        let place = self.reserve();
        // SAFETY: reserved for one message.
        unsafe { place.write(*message) }
        self.0.commit();
        Ok(())
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) -> Result<()> {
        for number in first..first + BATCH as u64 {
            let place = match unsafe_reserve(&mut self.0) {
                Some(place) => place,
                None => {
                    // The consumer must see the existing messages before it can make room.
                    self.0.commit();
                    self.reserve()
                }
            };
            // SAFETY: reserved for one message.
            unsafe { B::fill(place, number) }
        }
        self.0.commit();
        Ok(())
    }

    #[inline(always)]
    fn send_in_place(&mut self, number: u64) -> Result<()> {
        let place = self.reserve();
        // SAFETY: reserved for one message.
        unsafe { B::fill(place, number) }
        self.0.commit();
        Ok(())
    }
}

#[inline(always)]
fn unsafe_reserve<B: Body>(producer: &mut spsc::Producer<B>) -> Option<*mut B> {
    // SAFETY: the caller fills it before it commits.
    unsafe { producer.reserve() }.map(|place| place.as_ptr())
}

impl<B: Body> Waiting<spsc::Consumer<B>> {
    #[inline(always)]
    fn next(&mut self) -> &B {
        let end = &mut self.0;
        let place = match end.try_read_ptr() {
            Some(place) => place,
            None => self.1.until(|| {
                end.sync();
                end.try_read_ptr()
            }),
        };
        // SAFETY: this endpoint owns the message until it is finalised.
        unsafe { place.as_ref() }
    }
}

impl<B: Body> Source<B> for Waiting<spsc::Consumer<B>> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        visit(self.next());
        self.0.finalize();
        Ok(())
    }

    #[inline(always)]
    fn receive_batch(&mut self, most: usize, mut visit: impl FnMut(&B)) -> Result<usize> {
        visit(self.next());
        let mut received = 1;
        while received < most {
            let Some(message) = self.0.try_read() else {
                break;
            };
            visit(message);
            received += 1;
        }
        self.0.finalize();
        Ok(received)
    }

    #[inline(always)]
    fn receive_in_place(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        self.receive(visit)
    }
}

pub(crate) struct ManyToMany(File);

/// The reason why a many-to-many experiment is not run, or `None`.
pub(super) fn turns(experiment: &Experiment) -> Option<&'static str> {
    // With 2 consumers, each waits for the other's turn without yielding.
    let reason = "takes a time slice per turn if processes share a processor";
    experiment.is_crowded().then_some(reason)
}

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
        let attempt = || unsafe { end.reserve_write_batch(BATCH) };
        let mut batch = self.1.until(attempt);
        for place in 0..BATCH {
            // SAFETY: one of the reserved slots.
            let slot = unsafe { batch.as_mut_ptr(place) };
            // SAFETY: room for a message.
            unsafe { B::fill(slot, first + place as u64) }
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
    fn receive_batch(&mut self, most: usize, mut visit: impl FnMut(&B)) -> Result<usize> {
        let end = &self.0;
        let batch = self.1.until(|| end.reserve_read_batch(most));
        for place in 0..batch.len() {
            // SAFETY: one of the claimed slots.
            visit(unsafe { batch.as_ref(place) });
        }
        Ok(batch.len())
    }
}
