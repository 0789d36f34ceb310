//! Transports of the kernel: pipes, Unix sockets and POSIX message queues. All of them block.

use crate::channel::{Channel, External, Setup};
use crate::workload::{Experiment, Workload};
use bench_support::{BATCH, Body, CAPACITY, Result, Sink, Source};
use bytemuck::{bytes_of, bytes_of_mut, cast_slice};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_open, mq_receive, mq_send, mq_unlink};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// A stream of bytes, read and written in units of whole messages.
pub(crate) struct Stream<S> {
    stream: S,
    messages: Vec<u8>,
}

impl<S> Stream<S> {
    fn new<B: Body>(stream: S) -> Self {
        Self {
            stream,
            messages: vec![0; BATCH * size_of::<B>()],
        }
    }
}

impl<B: Body, S: Write> Sink<B> for Stream<S> {
    fn send(&mut self, message: &B) -> Result<()> {
        Ok(self.stream.write_all(bytes_of(message))?)
    }

    fn send_batch(&mut self, first: u64) -> Result<()> {
        let messages: [B; BATCH] = std::array::from_fn(|place| B::numbered(first + place as u64));
        Ok(self.stream.write_all(cast_slice(&messages))?)
    }
}

impl<B: Body, S: Read> Source<B> for Stream<S> {
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let mut message = B::zeroed();
        self.stream.read_exact(bytes_of_mut(&mut message))?;
        visit(&message);
        Ok(())
    }

    fn receive_batch(&mut self, most: usize, mut visit: impl FnMut(&B)) -> Result<usize> {
        let each = size_of::<B>();
        let mut read = self.stream.read(&mut self.messages[..most * each])?;
        let rest = read.next_multiple_of(each);
        self.stream.read_exact(&mut self.messages[read..rest])?;
        read = rest;
        for message in self.messages[..read].chunks_exact(each) {
            visit(&bytemuck::pod_read_unaligned(message));
        }
        Ok(read / each)
    }
}

pub(crate) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

/// The largest pipe without privileges.
const LARGEST_PIPE: usize = 1 << 20;

impl<B: Body> Channel<B> for Pipe {
    type Sink = Stream<File>;
    type Source = Stream<File>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::InPlace => Some("copies"),
            Workload::MpmcBatch if experiment.is_crowded() => Some("readers would share messages"),
            _ => None,
        }
    }

    fn new(_setup: &Setup) -> Result<Self> {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let size = (CAPACITY * size_of::<B>()).min(LARGEST_PIPE);
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(size as i32))?;
        Ok(Self { reader, writer })
    }

    fn sink(&self, _setup: &Setup) -> Result<Self::Sink> {
        Ok(Stream::new::<B>(File::from(self.writer.try_clone()?)))
    }

    fn source(&self, _setup: &Setup) -> Result<Self::Source> {
        Ok(Stream::new::<B>(File::from(self.reader.try_clone()?)))
    }
}

pub(crate) struct Socket(UnixStream, UnixStream);

impl<B: Body> Channel<B> for Socket {
    type Sink = Stream<UnixStream>;
    type Source = Stream<UnixStream>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::InPlace => Some("copies"),
            _ if experiment.is_for_many() => Some("readers would share messages"),
            _ => None,
        }
    }

    fn new(_setup: &Setup) -> Result<Self> {
        let (one, other) = UnixStream::pair()?;
        Ok(Self(one, other))
    }

    fn sink(&self, _setup: &Setup) -> Result<Self::Sink> {
        Ok(Stream::new::<B>(self.0.try_clone()?))
    }

    fn source(&self, _setup: &Setup) -> Result<Self::Source> {
        Ok(Stream::new::<B>(self.1.try_clone()?))
    }
}

/// A queue with the most messages that a user without privileges may have.
pub(crate) struct MessageQueue(String);

const MESSAGES: i64 = 10;
const LARGEST_MESSAGE: u64 = 8192;

impl<B: Body> Channel<B> for MessageQueue {
    type Sink = External<MqdT>;
    type Source = External<MqdT>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::Batch | Workload::MpmcBatch => Some("no batches"),
            Workload::InPlace => Some("copies"),
            _ => (experiment.bytes > LARGEST_MESSAGE).then_some("messages of 8 KiB at most"),
        }
    }

    fn new(setup: &Setup) -> Result<Self> {
        let name = format!("/{}", setup.name);
        let attributes = MqAttr::new(0, MESSAGES, size_of::<B>() as i64, 0);
        let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        mq_open(name.as_str(), flags, mode, Some(&attributes))?;
        Ok(Self(name))
    }

    fn sink(&self, _setup: &Setup) -> Result<Self::Sink> {
        let (flags, mode) = (MQ_OFlag::O_WRONLY, Mode::empty());
        Ok(External(mq_open(self.0.as_str(), flags, mode, None)?))
    }

    fn source(&self, _setup: &Setup) -> Result<Self::Source> {
        let (flags, mode) = (MQ_OFlag::O_RDONLY, Mode::empty());
        Ok(External(mq_open(self.0.as_str(), flags, mode, None)?))
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        // The benchmark ends, so an error has no consequence.
        let _ = mq_unlink(self.0.as_str());
    }
}

impl<B: Body> Sink<B> for External<MqdT> {
    fn send(&mut self, message: &B) -> Result<()> {
        Ok(mq_send(&self.0, bytes_of(message), 0)?)
    }
}

impl<B: Body> Source<B> for External<MqdT> {
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let mut message = B::zeroed();
        mq_receive(&self.0, bytes_of_mut(&mut message), &mut 0)?;
        visit(&message);
        Ok(())
    }
}
