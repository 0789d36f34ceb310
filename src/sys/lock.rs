//! Open-file-description locks on single bytes: the kernel's word on who is alive.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, flock};
use std::os::fd::AsFd;

/// Locks the byte at `offset` for the description behind `file`; `false` if another
/// description has it. Never waits.
pub(crate) fn try_lock(file: impl AsFd, offset: i64) -> Result<bool, Errno> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&bytes(F_WRLCK, offset, 1))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(refused) => Err(refused),
    }
}

/// A byte, of `len` from `offset` on, that a description other than the one behind `file` has
/// locked.
pub(crate) fn locked(file: impl AsFd, offset: i64, len: i64) -> Result<Option<i64>, Errno> {
    let mut query = bytes(F_RDLCK, offset, len);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut query))?;
    // Somebody else's idea of a lock may begin before.
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
