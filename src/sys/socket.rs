//! Sends and receives descriptors over Unix sockets.

#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ptr::NonNull;
use nix::errno::Errno;
use nix::libc::{self, iovec, msghdr};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// A byte to send along: without data, a stream carries no descriptor.
const ALONG: [u8; 1] = *b"R";

/// The maximum number of descriptors in one message (`SCM_MAX_FD`).
const MOST: u32 = 253;

/// The number of words that so many descriptors take in a message.
const ROOM: usize = {
    // SAFETY: CMSG_SPACE only computes a size.
    let bytes = unsafe { libc::CMSG_SPACE(MOST * size_of::<RawFd>() as u32) };
    (bytes as usize).div_ceil(size_of::<u64>())
};

/// Sends a descriptor. Blocks if the socket blocks.
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

/// Receives the descriptors of the next message. `None` at the end of the stream. Blocks if the
/// socket blocks.
pub(crate) fn receive(socket: impl AsFd) -> Result<Option<Vec<OwnedFd>>, Errno> {
    // Room for the maximum: a descriptor that is not found below would stay open without an owner.
    // The room is made of words, because the headers are read in place and must be aligned.
    let mut room = [0_u64; ROOM];
    let mut along = ALONG;
    let mut slice = iovec {
        iov_base: along.as_mut_ptr().cast(),
        iov_len: along.len(),
    };
    // SAFETY: msghdr is made of integers and pointers, for which zero is valid.
    let mut message = unsafe { MaybeUninit::<msghdr>::zeroed().assume_init() };
    message.msg_iov = &raw mut slice;
    message.msg_iovlen = 1;
    message.msg_control = room.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&room) as _;
    let socket = socket.as_fd().as_raw_fd();
    let bytes = loop {
        // SAFETY: the pointers and lengths in `message` describe `slice`, `along` and `room`, which
        // live longer than the call.
        let received = unsafe { libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match Errno::result(received) {
            Err(Errno::EINTR) => {}
            received => break received?,
        }
    };
    let descriptors = descriptors_of(&message);
    // The process reached its limit of descriptors. Those that did arrive are closed.
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(Errno::EMFILE);
    }
    let is_over = bytes == 0 && descriptors.is_empty();
    Ok((!is_over).then_some(descriptors))
}

/// The descriptors in a message that the kernel has just filled in. Its control data, which must be
/// aligned for headers, may be truncated.
fn descriptors_of(message: &msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel has filled in the message. Its control data is aligned for headers.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while let Some(found) = NonNull::new(next) {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return only headers inside the control data.
        let header = unsafe { found.read_unaligned() };
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: `found` is a header inside the control data, so its data is too.
            let first = unsafe { libc::CMSG_DATA(found.as_ptr()) }.cast::<RawFd>();
            let data = first.addr() - found.addr().get();
            #[allow(clippy::unnecessary_cast, reason = "narrower in other C libraries")]
            let len = header.cmsg_len as usize - data;
            for index in 0..len / size_of::<RawFd>() {
                // SAFETY: by the length that the kernel stored, the header has so many descriptors.
                let number = unsafe { first.add(index) };
                // SAFETY: `number` points to a descriptor inside the control data.
                let number = unsafe { number.read_unaligned() };
                // SAFETY: the kernel has just opened the descriptor for the receiver of the
                // message, and no other value owns it.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: the header is one of the message's. The message's length bounds the search.
        next = unsafe { libc::CMSG_NXTHDR(message, found.as_ptr()) };
    }
    descriptors
}
