//! Standard input and output.

use super::signals;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

/// An unbuffered standard stream. A termination signal interrupts a blocking read or write.
#[derive(Debug)]
pub(crate) struct Stream(File);

impl Stream {
    pub(crate) fn of(stream: impl AsFd) -> io::Result<Self> {
        Ok(Self(stream.as_fd().try_clone_to_owned()?.into()))
    }

    /// The length of a regular file.
    pub(crate) fn size(&self) -> Option<u64> {
        let metadata = self.0.metadata().ok()?;
        metadata.is_file().then_some(metadata.len())
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        retry_interrupted(|| self.0.read(bytes))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        retry_interrupted(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Repeats an interrupted call, unless a termination signal was received.
fn retry_interrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        if signals::received().is_some() {
            return Err(io::Error::other("interrupted"));
        }
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
