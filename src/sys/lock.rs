//! Open-file-description locks on single bytes: the kernel's word on who is alive.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, flock};
use std::os::fd::AsFd;

/// Locks the byte at `offset` for the description behind `file`; `false` if another
/// description has it. Never waits.
pub(crate) fn try_lock(file: impl AsFd, offset: i64) -> Result<bool, Errno> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte(F_WRLCK, offset))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(refused) => Err(refused),
    }
}

/// Whether a description other than the one behind `file` has the byte at `offset` locked.
pub(crate) fn is_locked(file: impl AsFd, offset: i64) -> Result<bool, Errno> {
    let mut query = byte(F_RDLCK, offset);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut query))?;
    Ok(query.l_type != F_UNLCK as i16)
}

fn byte(kind: i32, offset: i64) -> flock {
    flock {
        l_type: kind as i16,
        l_whence: SEEK_SET as i16,
        l_start: offset,
        l_len: 1,
        l_pid: 0,
    }
}
