//! What of a ring is to do with where it lives.

use super::Ring;
use crate::backing::{Backing, syscall_error};
use crate::error::{HandOverError, OpenError, ReceiveError, StatError, SyncError};
use crate::message::Message;
use crate::open::MemoryStat;
use crate::options::Options;
use crate::protocol::Protocol;
use crate::sys::socket;
use std::os::fd::{AsFd, BorrowedFd};

impl<M: Message + ?Sized, P: Protocol> Ring<M, P> {
    /// Opens the ring that is in a memfd.
    ///
    /// Of the descriptor nothing is oldest_allocated: the ring opens one of its own, for which it needs /proc and
    /// the permission that the [mode](Options::mode) gives. The memfd must be sealed as those are in which
    /// rings are [created](Self::create_with), so that nobody can change its size: then no peer, however hostile,
    /// can have this process get a SIGBUS.
    ///
    /// ```
    /// use slipring::spsc;
    ///
    /// let ring = spsc::Ring::<u64>::create("memfd:", 64)?;
    /// let descriptor = ring.descriptor().expect("a memfd is behind it");
    /// let same = spsc::Ring::<u64>::from_fd(descriptor)?;
    /// ring.producer()?.push(&7)?;
    /// assert_eq!(same.consumer()?.pop()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Seals`](OpenError::Seals) if it is not such a memfd; see [`OpenError`].
    pub fn from_fd(descriptor: impl AsFd) -> Result<Self, OpenError> {
        Self::from_fd_with(descriptor, &Options::new())
    }

    /// [Opens](Self::from_fd) the ring that is in a memfd, if it is as the [options](Options) say.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn from_fd_with(descriptor: impl AsFd, options: &Options) -> Result<Self, OpenError> {
        Self::open_with(&Backing::descriptor(descriptor), options)
    }

    /// Opens the same ring once more, with a mapping of its own, whatever its name names by now.
    ///
    /// This is how a forked child gets a ring that it can use: the one of its parent answers
    /// [`Forked`](crate::error::Forked) to everything else. Each process takes its seats after the fork.
    /// A memfd, which has no name, is for such processes.
    ///
    /// ```no_run
    /// use slipring::spsc;
    ///
    /// let ring = spsc::Ring::<u64>::create("memfd:", 64)?;
    /// // SAFETY: this process has a single thread.
    /// match unsafe { nix::unistd::fork() }? {
    ///     nix::unistd::ForkResult::Child => ring.reopen()?.producer()?.push(&7)?,
    ///     nix::unistd::ForkResult::Parent { .. } => assert_eq!(ring.consumer()?.pop()?, 7),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn reopen(&self) -> Result<Self, OpenError> {
        self.typed().reopen().map(Self::new)
    }

    /// The descriptor of the ring's object, to be handed on; `None` if it is a System V segment, or if
    /// somebody has closed what was not theirs.
    ///
    /// It is closed by `execve(2)`; a program that is to inherit it needs a duplicate. Nobody should lock
    /// anything through it.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.open_ring().object().descriptor()
    }

    /// Sends the descriptor of a ring in a memfd over a Unix socket, to whoever [receives](Self::receive) it.
    ///
    /// Waits as the socket does. A process that is killed on the way has sent it or not.
    ///
    /// ```
    /// use slipring::spsc;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (here, there) = UnixStream::pair()?;
    /// let ring = spsc::Ring::<u64>::create("memfd:", 64)?;
    /// ring.hand_over(&here)?;
    /// let same = spsc::Ring::<u64>::receive(&there)?;
    /// ring.producer()?.push(&7)?;
    /// assert_eq!(same.consumer()?.pop()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Named`](HandOverError::Named) of a ring that can be opened by name; see [`HandOverError`].
    pub fn hand_over(&self, socket: impl AsFd) -> Result<(), HandOverError> {
        if !self.open_ring().object().is_nameless() {
            return Err(HandOverError::Named);
        }
        let descriptor = self.descriptor().ok_or(HandOverError::Closed)?;
        socket::send(socket, descriptor).map_err(|refused| syscall_error("sendmsg", refused).into())
    }

    /// Opens the ring whose descriptor comes next over a Unix socket. Waits for it as the socket does.
    ///
    /// What comes is checked as by [`from_fd`](Self::from_fd), so whoever sends it need not be trusted.
    ///
    /// # Errors
    ///
    /// See [`ReceiveError`].
    pub fn receive(socket: impl AsFd) -> Result<Self, ReceiveError> {
        Self::receive_with(socket, &Options::new())
    }

    /// [Receives](Self::receive) a ring, if it is as the [options](Options) say.
    ///
    /// # Errors
    ///
    /// See [`ReceiveError`].
    pub fn receive_with(socket: impl AsFd, options: &Options) -> Result<Self, ReceiveError> {
        let received =
            socket::receive(socket).map_err(|refused| syscall_error("recvmsg", refused))?;
        match &*received.ok_or(ReceiveError::Closed)? {
            [descriptor] => Ok(Self::from_fd_with(descriptor, options)?),
            others => Err(ReceiveError::Descriptors {
                found: others.len(),
            }),
        }
    }

    /// Has the ring, as it is, written to the disk that it lives on, and waits for that. Of a ring that
    /// lives in memory there is nothing to be written.
    ///
    /// The kernel writes pages whenever it likes, in any order. After a power cut, or when the machine
    /// crashes, what is on disk is what was there at the last `sync` that ended, with any of what has been
    /// stored since, and perhaps half of a message: so `sync` while nobody pushes or pops, and expect a ring that was in
    /// use since to say [`Corrupt`](crate::error::Corrupt), or to hold some messages again or no more.
    /// A new ring is not certain to be on disk at all before its first `sync`. No process that is killed, and
    /// no machine that is shut down in good order, needs it.
    ///
    /// # Errors
    ///
    /// See [`SyncError`].
    pub fn sync(&self) -> Result<(), SyncError> {
        self.open_ring().sync()
    }

    /// What the kernel tells of the ring's memory: its size, whose it is, and how much of it is where.
    ///
    /// ```
    /// use slipring::{HugePages, Options, spsc};
    ///
    /// let options = Options::new().capacity(1 << 18).huge_pages(HugePages::Advised);
    /// let ring = spsc::Ring::<u64>::create_with("memfd:", &options)?;
    /// let stat = ring.memory_stat()?;
    /// println!("{} of {} bytes are in huge pages", stat.huge, stat.size);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`StatError`].
    pub fn memory_stat(&self) -> Result<MemoryStat, StatError> {
        self.open_ring().memory_stat()
    }
}
