//! The standard streams.

use super::signals;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

/// A standard stream without a buffer of its own, on which waiting ends when the process is asked to.
#[derive(Debug)]
pub(crate) struct Stream(File);

impl Stream {
    pub(crate) fn of(stream: impl AsFd) -> io::Result<Self> {
        Ok(Self(stream.as_fd().try_clone_to_owned()?.into()))
    }

    /// How many bytes there are to be read, if that is known.
    pub(crate) fn size(&self) -> Option<u64> {
        let about = self.0.metadata().ok()?;
        about.is_file().then_some(about.len())
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        unless_ended(|| self.0.read(bytes))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_ended(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Does it again when it was interrupted, but not when the process is to end.
fn unless_ended(mut act: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        if signals::received().is_some() {
            return Err(io::Error::other("asked to end"));
        }
        match act() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
