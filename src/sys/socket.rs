//! Descriptors that travel over Unix sockets.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Something to send along, without which a stream carries no descriptor.
const ALONG: [u8; 1] = *b"R";

/// As many descriptors as the kernel lets one message have.
const MOST: usize = 253;

/// Sends a descriptor. Waits as the socket does.
pub(crate) fn send(socket: impl AsFd, descriptor: BorrowedFd<'_>) -> Result<(), Errno> {
    let descriptors = [descriptor.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let socket = socket.as_fd().as_raw_fd();
    loop {
        let along = [IoSlice::new(&ALONG)];
        match sendmsg::<()>(socket, &along, &rights, MsgFlags::MSG_NOSIGNAL, None) {
            Err(Errno::EINTR) => {}
            sent => return sent.map(drop),
        }
    }
}

/// The descriptors that came with the next message; `None` if there is none and will be none. Waits
/// as the socket does.
pub(crate) fn receive(socket: impl AsFd) -> Result<Option<Vec<OwnedFd>>, Errno> {
    // Room for all that may come: what does not fit would be open all the same, and nobody's.
    let mut room = cmsg_space!([RawFd; MOST]);
    let mut along = ALONG;
    let socket = socket.as_fd().as_raw_fd();
    loop {
        let mut slices = [IoSliceMut::new(&mut along)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let received = match recvmsg::<()>(socket, &mut slices, Some(&mut room), flags) {
            Err(Errno::EINTR) => continue,
            received => received?,
        };
        let mut descriptors = Vec::new();
        for message in received.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = message {
                // SAFETY: the kernel has just opened them for whoever receives the message.
                let owned = |number| unsafe { OwnedFd::from_raw_fd(number) };
                descriptors.extend(numbers.into_iter().map(owned));
            }
        }
        let is_over = received.bytes == 0 && descriptors.is_empty();
        return Ok((!is_over).then_some(descriptors));
    }
}
