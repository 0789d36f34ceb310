//! rtrb, between two threads of one process.

use crate::channel::{Channel, Setup};
use crate::workload::{Experiment, Workload};
use bench_support::{BATCH, Body, CAPACITY, Result, Sink, Source, SpinWait};
use rtrb::{Consumer, Producer, RingBuffer};
use std::cell::Cell;

pub(crate) struct Rtrb<B> {
    producer: Cell<Option<Producer<B>>>,
    consumer: Cell<Option<Consumer<B>>>,
}

impl<B: Body> Channel<B> for Rtrb<B> {
    type Sink = Waiting<Producer<B>>;
    type Source = Waiting<Consumer<B>>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::Wake => Some("does not sleep"),
            _ => experiment.is_for_many().then_some("one to one"),
        }
    }

    fn new(_setup: &Setup) -> Result<Self> {
        let (producer, consumer) = RingBuffer::new(CAPACITY);
        Ok(Self {
            producer: Cell::new(Some(producer)),
            consumer: Cell::new(Some(consumer)),
        })
    }

    fn sink(&self, setup: &Setup) -> Result<Self::Sink> {
        Ok(Waiting(self.producer.take().ok_or("taken")?, setup.wait))
    }

    fn source(&self, setup: &Setup) -> Result<Self::Source> {
        Ok(Waiting(self.consumer.take().ok_or("taken")?, setup.wait))
    }
}

pub(crate) struct Waiting<E>(E, SpinWait);

impl<B: Body> Sink<B> for Waiting<Producer<B>> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        let end = &mut self.0;
        self.1.until(|| end.push(*message).ok());
        Ok(())
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) -> Result<()> {
        let end = &mut self.0;
        self.1.until(|| {
            let chunk = end.write_chunk_uninit(BATCH).ok()?;
            let numbers = first..first + BATCH as u64;
            Some(chunk.fill_from_iter(numbers.map(B::numbered)))
        });
        Ok(())
    }

    #[inline(always)]
    fn send_in_place(&mut self, number: u64) -> Result<()> {
        let end = &mut self.0;
        self.1.until(|| {
            let mut chunk = end.write_chunk_uninit(1).ok()?;
            let place = chunk.as_mut_slices().0[0].as_mut_ptr();
            // SAFETY: room for a message.
            unsafe { B::fill(place, number) }
            // SAFETY: the slot is filled.
            unsafe { chunk.commit_all() };
            Some(())
        });
        Ok(())
    }
}

impl<B: Body> Source<B> for Waiting<Consumer<B>> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let end = &mut self.0;
        visit(&self.1.until(|| end.pop().ok()));
        Ok(())
    }

    #[inline(always)]
    fn receive_batch(&mut self, most: usize, mut visit: impl FnMut(&B)) -> Result<usize> {
        let end = &mut self.0;
        self.1.until(|| {
            // The cached count of slots is enough unless it is zero.
            let ready = match end.cached_slots() {
                0 => end.slots(),
                cached => cached,
            };
            let chunk = end.read_chunk(ready.min(most)).ok()?;
            let (first, second) = chunk.as_slices();
            first.iter().chain(second).for_each(&mut visit);
            let received = chunk.len();
            chunk.commit_all();
            (received > 0).then_some(Ok(received))
        })
    }

    #[inline(always)]
    fn receive_in_place(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let end = &mut self.0;
        self.1.until(|| end.read_chunk(1).ok().map(drop));
        let chunk = end.read_chunk(1)?;
        visit(&chunk.as_slices().0[0]);
        chunk.commit_all();
        Ok(())
    }
}
