//! shmem-ipc. Its rings hold elements in sequence, so a message of several words is several
//! elements. Where both sides spin, its ring is used without the event descriptors, which its API
//! allows.

use crate::channel::{Channel, External, Setup};
use crate::workload::{Experiment, Workload};
use bench_support::{BATCH, Body, CAPACITY, Result, Sink, Source, SpinWait};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use shmem_ipc::{ringbuf, sharedring};
use std::cell::Cell;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::slice;

/// A ring that both processes map until they exit.
pub(crate) struct Ring {
    base: NonNull<u8>,
    len: usize,
}

/// Bytes before the first element.
const HEADER: usize = 64;

impl<B: Body> Channel<B> for Ring {
    type Sink = Waiting<ringbuf::Sender<u64>>;
    type Source = Waiting<ringbuf::Receiver<u64>>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        experiment.is_for_many().then_some("one to one")
    }

    fn new(_setup: &Setup) -> Result<Self> {
        // A whole number of messages, so that none wraps around the end.
        let len = HEADER + CAPACITY * size_of::<B>();
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        let size = NonZeroUsize::new(len).ok_or("no ring")?;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { mmap_anonymous(None, size, access, flags)? };
        Ok(Self {
            base: base.cast(),
            len,
        })
    }

    fn sink(&self, setup: &Setup) -> Result<Self::Sink> {
        // SAFETY: mapped until the process ends, and initially zero.
        let end = unsafe { ringbuf::Sender::attach(self.base.as_ptr(), self.len)? };
        Ok(Waiting(end, setup.wait))
    }

    fn source(&self, setup: &Setup) -> Result<Self::Source> {
        // SAFETY: as above.
        let end = unsafe { ringbuf::Receiver::attach(self.base.as_ptr(), self.len)? };
        Ok(Waiting(end, setup.wait))
    }
}

pub(crate) struct Waiting<E>(E, SpinWait);

impl Waiting<ringbuf::Sender<u64>> {
    /// Sends up to `most` messages, which `fill` builds one by one, and returns how many.
    #[inline(always)]
    fn send_some<B: Body>(&mut self, most: usize, mut fill: impl FnMut(*mut B)) -> Result<usize> {
        let words = size_of::<B>() / 8;
        let end = &mut self.0;
        self.1.until(|| {
            let mut sent = 0;
            let result = end.send(|place, free| {
                sent = most.min(free / words);
                for message in 0..sent {
                    // SAFETY: one of the free places.
                    fill(unsafe { place.cast::<B>().add(message) });
                }
                sent * words
            });
            match result {
                Ok(_) if sent > 0 => Some(Ok(sent)),
                Ok(_) => None,
                Err(error) => Some(Err(error.into())),
            }
        })
    }
}

impl<B: Body> Sink<B> for Waiting<ringbuf::Sender<u64>> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        self.send_some(1, |place: *mut B| {
            // SAFETY: room for a message.
            unsafe { place.write(*message) }
        })?;
        Ok(())
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) -> Result<()> {
        let mut number = first;
        let end = first + BATCH as u64;
        while number < end {
            self.send_some((end - number) as usize, |place: *mut B| {
                // SAFETY: room for a message.
                unsafe { B::fill(place, number) }
                number += 1;
            })?;
        }
        Ok(())
    }

    #[inline(always)]
    fn send_in_place(&mut self, number: u64) -> Result<()> {
        self.send_some(1, |place: *mut B| {
            // SAFETY: room for a message.
            unsafe { B::fill(place, number) }
        })?;
        Ok(())
    }
}

impl<B: Body> Source<B> for Waiting<ringbuf::Receiver<u64>> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let mut visit = Some(visit);
        self.receive_batch(1, |message: &B| {
            if let Some(visit) = visit.take() {
                visit(message);
            }
        })?;
        Ok(())
    }

    #[inline(always)]
    fn receive_batch(&mut self, most: usize, mut visit: impl FnMut(&B)) -> Result<usize> {
        let words = size_of::<B>() / 8;
        let end = &mut self.0;
        self.1.until(|| {
            let mut received = 0;
            let result = end.recv(|place, full| {
                received = most.min(full / words);
                // SAFETY: the ring holds that many messages, owned by this side until it returns.
                let messages = unsafe { slice::from_raw_parts(place.cast::<B>(), received) };
                messages.iter().for_each(&mut visit);
                received * words
            });
            match result {
                Ok(_) if received > 0 => Some(Ok(received)),
                Ok(_) => None,
                Err(error) => Some(Err(error.into())),
            }
        })
    }

    #[inline(always)]
    fn receive_in_place(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        self.receive(visit)
    }
}

/// The ring with its event descriptors. Every process inherits both sides.
pub(crate) struct Waking {
    sender: Cell<Option<sharedring::Sender<u64>>>,
    receiver: Cell<Option<sharedring::Receiver<u64>>>,
}

impl<B: Body> Channel<B> for Waking {
    type Sink = External<sharedring::Sender<u64>>;
    type Source = External<sharedring::Receiver<u64>>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        let fits = experiment.workload == Workload::Wake && experiment.bytes == 8;
        (!fits).then_some("wake-ups only")
    }

    fn new(_setup: &Setup) -> Result<Self> {
        let sender = sharedring::Sender::new(CAPACITY)?;
        let [memory, empty, full] = [
            sender.memfd().as_file(),
            sender.empty_signal(),
            sender.full_signal(),
        ]
        .map(|file| file.try_clone());
        let receiver = sharedring::Receiver::open(CAPACITY, memory?, empty?, full?)?;
        Ok(Self {
            sender: Cell::new(Some(sender)),
            receiver: Cell::new(Some(receiver)),
        })
    }

    fn sink(&self, _setup: &Setup) -> Result<Self::Sink> {
        Ok(External(self.sender.take().ok_or("taken")?))
    }

    fn source(&self, _setup: &Setup) -> Result<Self::Source> {
        Ok(External(self.receiver.take().ok_or("taken")?))
    }
}

impl<B: Body> Sink<B> for External<sharedring::Sender<u64>> {
    fn send(&mut self, message: &B) -> Result<()> {
        self.0.block_until_writable()?;
        self.0.send_raw(|place, _| {
            // SAFETY: room for one element, which a message of 8 bytes is.
            unsafe { place.write(message.number()) }
            1
        })?;
        Ok(())
    }
}

impl<B: Body> Source<B> for External<sharedring::Receiver<u64>> {
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        self.0.block_until_readable()?;
        self.0.receive_raw(|place, _| {
            // SAFETY: one element at least, which a message of 8 bytes is.
            visit(unsafe { &*place.cast::<B>() });
            1
        })?;
        Ok(())
    }
}
