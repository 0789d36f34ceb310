//! Descriptors that travel over Unix sockets.

use core::mem::MaybeUninit;
use core::ptr::NonNull;
use nix::errno::Errno;
use nix::libc::{self, iovec, msghdr};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Something to send along, without which a stream carries no descriptor.
const ALONG: [u8; 1] = *b"R";

/// As many descriptors as the kernel lets one message have.
const MOST: u32 = 253;

/// The words in which that many come.
const ROOM: usize = {
    // SAFETY: computes a size.
    let bytes = unsafe { libc::CMSG_SPACE(MOST * size_of::<RawFd>() as u32) };
    (bytes as usize).div_ceil(size_of::<u64>())
};

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
    // Of words, since the headers in it are looked at in place.
    let mut room = [0_u64; ROOM];
    let mut along = ALONG;
    let mut slice = iovec {
        iov_base: along.as_mut_ptr().cast(),
        iov_len: along.len(),
    };
    // SAFETY: made of numbers and pointers, of which zero is one; there may be padding.
    let mut message = unsafe { MaybeUninit::<msghdr>::zeroed().assume_init() };
    message.msg_iov = &raw mut slice;
    message.msg_iovlen = 1;
    message.msg_control = room.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&room) as _;
    let socket = socket.as_fd().as_raw_fd();
    let bytes = loop {
        // SAFETY: the message has room for what it says, until the call is over.
        let received = unsafe { libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match Errno::result(received) {
            Err(Errno::EINTR) => {}
            received => break received?,
        }
    };
    let descriptors = descriptors_of(&message);
    // Those that did come are closed: as many as this process may have.
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(Errno::EMFILE);
    }
    let is_over = bytes == 0 && descriptors.is_empty();
    Ok((!is_over).then_some(descriptors))
}

/// What came with a message that the kernel has just filled in, into words, also if more did not.
fn descriptors_of(message: &msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel has filled in the message, and its room is aligned for headers.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while let Some(found) = NonNull::new(next) {
        // SAFETY: inside the room of the message.
        let header = unsafe { found.read_unaligned() };
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: as above.
            let first = unsafe { libc::CMSG_DATA(found.as_ptr()) }.cast::<RawFd>();
            let data = first.addr() - found.addr().get();
            #[allow(clippy::unnecessary_cast, reason = "narrower in other C libraries")]
            let len = header.cmsg_len as usize - data;
            for index in 0..len / size_of::<RawFd>() {
                // SAFETY: the kernel says that there are as many.
                let number = unsafe { first.add(index) };
                // SAFETY: as above.
                let number = unsafe { number.read_unaligned() };
                // SAFETY: the kernel has just opened them for whoever receives the message.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: the header is the message's, which says where its room ends.
        next = unsafe { libc::CMSG_NXTHDR(message, found.as_ptr()) };
    }
    descriptors
}
