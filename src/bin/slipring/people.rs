//! What /proc tells of the process that has a seat.

use nix::libc;
use nix::unistd::{Uid, User};
use slipring::{Occupancy, Role, Seat, Snapshot};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

/// A process that is certainly the one that took the seat: of the same pid, in this pid namespace, started at the
/// same time.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) command: String,
    /// By a signal, or a debugger.
    pub(crate) is_stopped: bool,
    /// Whether one of its threads sleeps as those do who wait for a ring; `None` if that may not be asked.
    pub(crate) is_asleep: Option<bool>,
}

pub(crate) fn find(snapshot: &Snapshot, seat: &Seat) -> Option<Person> {
    if seat.occupancy != Occupancy::Alive || seat.pid_namespace != own_namespace()? {
        return None;
    }
    let stat = fs::read_to_string(format!("/proc/{}/stat", seat.pid)).ok()?;
    // The command name is in parentheses, and may contain anything.
    let (before, after) = stat.rsplit_once(')')?;
    let (_, command) = before.split_once('(')?;
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next()?;
    let start_time: u64 = fields.nth(18)?.parse().ok()?;
    let waiting = match seat.role {
        Role::Producer => snapshot.producers,
        Role::Consumer => snapshot.consumers,
    };
    (start_time == seat.start_time).then(|| Person {
        command: command.into(),
        is_stopped: matches!(state, "T" | "t"),
        is_asleep: match waiting.may_sleep {
            true => is_asleep(seat.pid),
            false => Some(false),
        },
    })
}

fn own_namespace() -> Option<u64> {
    Some(fs::metadata("/proc/self/ns/pid").ok()?.ino())
}

fn is_asleep(pid: u32) -> Option<bool> {
    // FUTEX_WAIT_BITSET, shared between processes.
    const WAIT: &str = "0x9";
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let call = match fs::read_to_string(thread.path().join("syscall")) {
            Ok(call) => call,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return None,
            // The thread has ended.
            Err(_) => continue,
        };
        let mut words = call.split_ascii_whitespace();
        let is_futex = words.next() == Some(&libc::SYS_futex.to_string());
        if is_futex && words.nth(1) == Some(WAIT) {
            return Some(true);
        }
    }
    Some(false)
}

/// The name of a user, or the number of one who has none.
pub(crate) fn user(id: u32) -> String {
    match User::from_uid(Uid::from_raw(id)) {
        Ok(Some(user)) => user.name,
        _ => id.to_string(),
    }
}
