//! ipmpsc: it encodes messages with bincode, here as bytes, which is its fastest encoding.

use crate::channel::{Channel, External, Setup};
use crate::workload::{Experiment, Workload};
use bench_support::{Body, CAPACITY, Result, Sink, Source};
use bytemuck::{bytes_of, pod_read_unaligned};
use ipmpsc::{Receiver, Sender, SharedRingBuffer};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;

pub(crate) struct Ipmpsc {
    path: String,
    _buffer: SharedRingBuffer,
}

/// Bytes that it adds to each message.
const AROUND: usize = 12;

impl<B: Body> Channel<B> for Ipmpsc {
    type Sink = External<Sender>;
    type Source = External<Receiver>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::Batch => Some("no batches"),
            Workload::InPlace => Some("messages are not aligned"),
            Workload::Mpmc | Workload::MpmcBatch => Some("one consumer"),
            _ => None,
        }
    }

    fn new(setup: &Setup) -> Result<Self> {
        let path = format!("/dev/shm/{}", setup.name);
        let size = CAPACITY * (size_of::<B>() + AROUND);
        let buffer = SharedRingBuffer::create(&path, u32::try_from(size)?)?;
        Ok(Self {
            path,
            _buffer: buffer,
        })
    }

    fn sink(&self, _setup: &Setup) -> Result<Self::Sink> {
        Ok(External(Sender::new(SharedRingBuffer::open(&self.path)?)))
    }

    fn source(&self, _setup: &Setup) -> Result<Self::Source> {
        Ok(External(Receiver::new(SharedRingBuffer::open(&self.path)?)))
    }
}

impl<B: Body> Sink<B> for External<Sender> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        Ok(self.0.send(&Bytes(bytes_of(message)))?)
    }
}

impl<B: Body> Source<B> for External<Receiver> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let mut context = self.0.zero_copy_context();
        let message: Bytes<'_> = context.recv()?;
        visit(&pod_read_unaligned(message.0));
        Ok(())
    }
}

/// Bytes that serde copies at once instead of one by one.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Bytes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_borrowed_bytes<E: Error>(
                self,
                bytes: &'de [u8],
            ) -> std::result::Result<Self::Value, E> {
                Ok(Bytes(bytes))
            }
        }
        from.deserialize_bytes(Borrowed)
    }
}
