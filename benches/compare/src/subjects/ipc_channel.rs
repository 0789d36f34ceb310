//! ipc-channel: a message is a datagram in the kernel.

use crate::channel::{Channel, External, Setup};
use crate::workload::{Experiment, Workload};
use bench_support::{Body, Result, Sink, Source};
use bytemuck::{bytes_of, pod_read_unaligned};
use ipc_channel::ipc::{IpcBytesReceiver, IpcBytesSender, bytes_channel};
use std::cell::Cell;

/// Both sides are descriptors, which every process inherits.
pub(crate) struct IpcChannel {
    sender: Cell<Option<IpcBytesSender>>,
    receiver: Cell<Option<IpcBytesReceiver>>,
}

impl<B: Body> Channel<B> for IpcChannel {
    type Sink = External<IpcBytesSender>;
    type Source = External<IpcBytesReceiver>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::Batch => Some("no batches"),
            Workload::InPlace => Some("copies"),
            Workload::Mpmc | Workload::MpmcBatch => Some("one consumer"),
            _ => None,
        }
    }

    fn new(_setup: &Setup) -> Result<Self> {
        let (sender, receiver) = bytes_channel()?;
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

impl<B: Body> Sink<B> for External<IpcBytesSender> {
    fn send(&mut self, message: &B) -> Result<()> {
        Ok(self.0.send(bytes_of(message))?)
    }
}

impl<B: Body> Source<B> for External<IpcBytesReceiver> {
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let message = self.0.recv().map_err(|error| format!("{error:?}"))?;
        visit(&pod_read_unaligned(&message));
        Ok(())
    }
}
