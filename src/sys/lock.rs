//! Open-file-description locks on single bytes. A held lock proves that its holder is alive: the
//! kernel releases the locks of a dead process.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, flock};
use std::os::fd::AsFd;

/// Locks the byte at `offset` for the description behind `file`. `false` if another description
/// holds the lock. Never waits.
pub(crate) fn try_lock(file: impl AsFd, offset: i64) -> Result<bool, Errno> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&bytes(F_WRLCK, offset, 1))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(refused) => Err(refused),
    }
}

/// One of the `len` bytes from `offset` on that another description than that behind `file` has
/// locked.
pub(crate) fn locked(file: impl AsFd, offset: i64, len: i64) -> Result<Option<i64>, Errno> {
    let mut query = bytes(F_RDLCK, offset, len);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut query))?;
    // The lock of a process that does not follow the protocol may begin before `offset`.
    let found = query.l_start.clamp(offset, offset + len - 1);
    Ok((query.l_type != F_UNLCK as i16).then_some(found))
}

fn bytes(kind: i32, offset: i64, len: i64) -> flock {
    flock {
        l_type: kind as i16,
        l_whence: SEEK_SET as i16,
        l_start: offset,
        l_len: len,
        l_pid: 0,
    }
}
