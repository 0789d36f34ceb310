//! Operations of a ring that depend on its backing: memfds, files and memory.

use super::ring::Ring;
use crate::backing::{Backing, syscall_error};
use crate::error::{HandOverError, OpenError, ReceiveError, StatError, SyncError};
use crate::message::Message;
use crate::open::MemoryStat;
use crate::options::Options;
use crate::protocol::Protocol;
use crate::sys::socket;
use std::os::fd::{AsFd, BorrowedFd};

impl<M: Message + ?Sized, P: Protocol> Ring<M, P> {
    /// Opens the ring in a memfd.
    ///
    /// The ring opens a descriptor of its own and does not keep the given one. For that it needs
    /// `/proc` and the permission that the [mode](Options::mode) grants.
    ///
    /// The memfd must have the seals with which rings are [created](Self::create_with), so that its
    /// size can't change: a hostile peer can't truncate it, which would raise SIGBUS here.
    ///
    /// The seals can't keep a hostile peer from punching holes, which erases messages. The next
    /// access to a hole allocates memory again. If the kernel has none, the process is killed: by
    /// the OOM killer at the memory limit of its cgroup, or by SIGBUS under strict overcommit
    /// (`vm.overcommit_memory=2`). With [reserved huge pages](crate::HugePages::Reserved) a peer
    /// can provoke SIGBUS, because another process can take the free pages: don't use them with
    /// hostile peers.
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
    /// [`Seals`](OpenError::Seals) if the descriptor is not such a memfd; see [`OpenError`].
    pub fn from_fd(descriptor: impl AsFd) -> Result<Self, OpenError> {
        Self::from_fd_with(descriptor, &Options::new())
    }

    /// [Opens](Self::from_fd) the ring in a memfd, if it meets the [options](Options).
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn from_fd_with(descriptor: impl AsFd, options: &Options) -> Result<Self, OpenError> {
        Self::open_with(Backing::descriptor(descriptor), options)
    }

    /// Opens the same object once more, with a mapping of its own, whatever its name leads to by
    /// now.
    ///
    /// A forked child gets a usable ring this way: everything else that it does with its parent's
    /// ring returns [`Forked`](crate::error::Forked). Each process attaches after the fork. With a
    /// memfd, a parent and its children share a ring without a name.
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

    /// The descriptor of the ring's object, to pass it on. `None` in a System V segment, or if
    /// foreign code has closed the descriptor.
    ///
    /// `execve(2)` closes it; for a program that is to inherit it, duplicate it. Do not set locks
    /// through it.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.open_ring().object().descriptor()
    }

    /// Sends the descriptor of a ring in a memfd over a Unix socket, to a process that
    /// [receives](Self::receive) it.
    ///
    /// Blocks as the socket does. If the process is killed meanwhile, the descriptor was sent or it
    /// was not.
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
    /// [`Named`](HandOverError::Named) if the ring can be opened by name; see [`HandOverError`].
    #[doc(alias = "SCM_RIGHTS")]
    pub fn hand_over(&self, socket: impl AsFd) -> Result<(), HandOverError> {
        if !self.open_ring().object().is_nameless() {
            return Err(HandOverError::Named);
        }
        let descriptor = self.descriptor().ok_or(HandOverError::Closed)?;
        socket::send(socket, descriptor).map_err(|refused| syscall_error("sendmsg", refused).into())
    }

    /// Receives the next descriptor from a Unix socket, and opens the ring in it. Blocks as the
    /// socket does.
    ///
    /// The descriptor is checked as by [`from_fd`](Self::from_fd), so its sender need not be
    /// trusted.
    ///
    /// # Errors
    ///
    /// See [`ReceiveError`].
    pub fn receive(socket: impl AsFd) -> Result<Self, ReceiveError> {
        Self::receive_with(socket, &Options::new())
    }

    /// [Receives](Self::receive) a ring, if it meets the [options](Options).
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

    /// Writes the ring to the disk that holds its file, and blocks until that is done. A ring in
    /// memory has nothing to be written.
    ///
    /// Only a power failure or a crash of the machine makes it necessary, not a killed process or
    /// an orderly shutdown. After such a failure the file has the bytes of the last completed
    /// `sync`, mixed with any stores since then. The kernel writes pages at any time and in any
    /// order. A new ring may be missing from the disk until its first `sync`.
    ///
    /// So call `sync` while no participant pushes or pops. A ring that was used after the last
    /// `sync` may hold half of a message, report [`Corrupt`](crate::error::Corrupt), or have
    /// repeated or missing messages.
    ///
    /// ```no_run
    /// let ring = slipring::spsc::Ring::<u64>::create("file:/var/lib/example/ring", 64)?;
    /// ring.producer()?.push(&7)?;
    /// ring.sync()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`SyncError`].
    #[doc(alias = "msync")]
    pub fn sync(&self) -> Result<(), SyncError> {
        self.open_ring().sync()
    }

    /// Queries the kernel about the ring's memory: its size, its owner, and how much of it is
    /// resident, locked or in huge pages. Does not block.
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
