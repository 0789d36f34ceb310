//! State of the process that holds a seat, read from /proc.

use nix::libc;
use procfs::ProcError;
use procfs::process::{Process, Syscall};
use slipring::{Occupancy, Role, Seat, Snapshot};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The live holder of a seat.
///
/// The process is certainly the one that took the seat: its pid, pid namespace and start time match
/// the seat's.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) command: String,
    /// Stopped by a signal or a debugger.
    pub(crate) is_stopped: bool,
    /// Whether a thread sleeps in the system call in which participants block. `None` without
    /// permission to read it.
    pub(crate) is_asleep: Option<bool>,
}

pub(crate) fn find(snapshot: &Snapshot, seat: &Seat) -> Option<Holder> {
    if seat.occupancy != Occupancy::Alive || seat.pid_namespace != own_namespace()? {
        return None;
    }
    let process = Process::new(seat.pid.try_into().ok()?).ok()?;
    let stat = process.stat().ok()?;
    let waiting = match seat.role {
        Role::Producer => snapshot.producers,
        Role::Consumer => snapshot.consumers,
    };
    (stat.starttime == seat.start_time).then(|| Holder {
        command: stat.comm,
        is_stopped: matches!(stat.state, 'T' | 't'),
        is_asleep: match waiting.may_sleep {
            true => is_asleep(&process),
            false => Some(false),
        },
    })
}

fn own_namespace() -> Option<u64> {
    Some(fs::metadata("/proc/self/ns/pid").ok()?.ino())
}

fn is_asleep(process: &Process) -> Option<bool> {
    // Without FUTEX_PRIVATE_FLAG, because processes share the word.
    const WAIT: u64 = libc::FUTEX_WAIT_BITSET as u64;
    for thread in process.tasks().ok()?.flatten() {
        match thread.syscall() {
            Ok(Syscall::Blocked {
                syscall_number: libc::SYS_futex,
                argument_registers: [_, WAIT, ..],
                ..
            }) => return Some(true),
            Err(ProcError::PermissionDenied(_)) => return None,
            // Another system call, or the thread has ended.
            _ => {}
        }
    }
    Some(false)
}
