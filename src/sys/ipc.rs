//! System V segments and sets of semaphores.
//!
//! The kernel reuses the id of a segment or a set once it is gone, and a process can make it do so
//! on purpose. A segment keeps its id for as long as a process has it attached ([`PinnedSegment`]).
//! Nothing pins a set, so an answer about one counts only if the [key](semaphores_key) of that id
//! is read afterwards and is still the expected one.

#![allow(unsafe_code)]

use core::mem::{MaybeUninit, offset_of};
use core::ptr::{self, NonNull};
use nix::errno::Errno;
use nix::libc::{self, c_int, c_void, sembuf, shmid_ds};

pub(crate) use nix::libc::{IPC_CREAT, IPC_EXCL, SHM_HUGETLB};

// From <linux/sem.h> and <linux/shm.h>.
const GETPID: c_int = 11;
const GETVAL: c_int = 12;
const SETVAL: c_int = 16;
const SHM_DEST: u32 = 0o1000;

/// What the kernel reports of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentStat {
    /// 0 once the segment is removed.
    pub(crate) key: i32,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    /// A pid in the caller's pid namespace; 0 if the creator is in another one.
    pub(crate) creator: u32,
    /// Whether the kernel frees it when the last process detaches it.
    pub(crate) is_removed: bool,
}

pub(crate) fn segment(key: i32, size: usize, flags: c_int) -> Result<i32, Errno> {
    // SAFETY: shmget takes numbers only.
    Errno::result(unsafe { libc::shmget(key, size, flags) })
}

pub(crate) fn segment_stat(id: i32) -> Result<SegmentStat, Errno> {
    let stat = raw_stat(id)?;
    const { assert!(offset_of!(shmid_ds, shm_perm) == 0) };
    // The C libraries name the key differently, and all of them have it first.
    // SAFETY: `stat` is initialised, and begins with its permissions, which begin with the key.
    let key = unsafe { (&raw const stat).cast::<i32>().read() };
    let mode = u64::from(stat.shm_perm.mode) as u32;
    let is_removed = mode & SHM_DEST != 0;
    Ok(SegmentStat {
        key: if is_removed { 0 } else { key },
        size: stat.shm_segsz as u64,
        mode: mode & 0o777,
        owner: stat.shm_perm.uid,
        group: stat.shm_perm.gid,
        creator: u32::try_from(stat.shm_cpid).unwrap_or(0),
        is_removed,
    })
}

fn raw_stat(id: i32) -> Result<shmid_ds, Errno> {
    let mut stat = MaybeUninit::<shmid_ds>::uninit();
    // SAFETY: IPC_STAT writes one `shmid_ds`, for which `stat` has room.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_STAT, stat.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it has written the whole structure.
    Ok(unsafe { stat.assume_init() })
}

pub(crate) fn set_segment_owner(id: i32, owner: u32) -> Result<(), Errno> {
    let mut stat = raw_stat(id)?;
    stat.shm_perm.uid = owner;
    // SAFETY: IPC_SET reads one `shmid_ds`, which `stat` is.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut stat) }).map(drop)
}

/// At least as large as the kernel's `semid_ds`, of which only the permissions are used.
#[repr(C)]
struct SemaphoresStat {
    // As in <linux/sem.h>: the permissions are first.
    permissions: libc::ipc_perm,
    _rest: [u64; 16],
}

fn semaphores_stat(set: i32) -> Result<SemaphoresStat, Errno> {
    let mut stat = MaybeUninit::<SemaphoresStat>::zeroed();
    // SAFETY: IPC_STAT writes one `semid_ds`, for which `stat` has room.
    Errno::result(unsafe { libc::semctl(set, 0, libc::IPC_STAT, stat.as_mut_ptr()) })?;
    // SAFETY: the structure is made of integers, and all of its bytes were at least zeroed.
    Ok(unsafe { stat.assume_init() })
}

/// The key that a set has. A set that was removed has none.
pub(crate) fn semaphores_key(set: i32) -> Result<i32, Errno> {
    let stat = semaphores_stat(set)?;
    const { assert!(offset_of!(SemaphoresStat, permissions) == 0) };
    // SAFETY: `stat` is initialised, and begins with its permissions, which begin with the key.
    Ok(unsafe { (&raw const stat).cast::<i32>().read() })
}

pub(crate) fn set_semaphores_owner(set: i32, owner: u32) -> Result<(), Errno> {
    let mut stat = semaphores_stat(set)?;
    stat.permissions.uid = owner;
    // SAFETY: IPC_SET reads one `semid_ds`, and `stat` is no smaller.
    Errno::result(unsafe { libc::semctl(set, 0, libc::IPC_SET, &raw mut stat) }).map(drop)
}

pub(crate) fn remove_segment(id: i32) -> Result<(), Errno> {
    // SAFETY: IPC_RMID takes no pointer.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) }).map(drop)
}

/// A segment that is attached here, so its id can't become that of another segment.
///
/// Only a pinned segment can replace other memory. The size that is read while it is pinned is the
/// size of the segment that does so.
#[derive(Debug)]
pub(crate) struct PinnedSegment {
    id: i32,
    at: *mut c_void,
}

impl PinnedSegment {
    /// Attaches a segment read-only, at an address that the kernel chooses.
    pub(crate) fn new(id: i32) -> Result<Self, Errno> {
        // SAFETY: without an address and SHM_REMAP, it replaces no memory.
        let at = unsafe { libc::shmat(id, ptr::null(), libc::SHM_RDONLY) };
        check_attached(at)?;
        Ok(Self { id, at })
    }

    /// Of the segment that is attached. Its size and its creator can't change.
    pub(crate) fn stat(&self) -> Result<SegmentStat, Errno> {
        segment_stat(self.id)
    }

    /// Attaches the segment once more, whole, in place of the memory at an address. There it stays
    /// attached when the pin is dropped.
    ///
    /// # Safety
    ///
    /// From `at` on, as many bytes are mapped as the [size](Self::stat) says, up to the end of a
    /// page of the segment's. Nothing refers to them.
    pub(crate) unsafe fn attach_over(
        &self,
        at: NonNull<u8>,
        is_writable: bool,
    ) -> Result<(), Errno> {
        let access = if is_writable { 0 } else { libc::SHM_RDONLY };
        let flags = libc::SHM_REMAP | access;
        // SAFETY: the id is that of the pinned segment, and by this function's contract the memory
        // that it replaces is no smaller, and nothing refers to it.
        let attached = unsafe { libc::shmat(self.id, at.as_ptr().cast(), flags) };
        check_attached(attached)
    }
}

impl Drop for PinnedSegment {
    fn drop(&mut self) {
        // SAFETY: `new` attached the segment there, and nothing refers to the memory.
        let detached = unsafe { libc::shmdt(self.at) };
        debug_assert_eq!(detached, 0);
    }
}

/// What `shmat` returns in place of an address.
fn check_attached(at: *mut c_void) -> Result<(), Errno> {
    match at.addr() as isize {
        -1 => Err(Errno::last()),
        _ => Ok(()),
    }
}

/// A change of a semaphore, or a condition. Several are checked and done in one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SemaphoreStep {
    pub(crate) semaphore: u16,
    pub(crate) change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Continue only if the semaphore is 0.
    IfZero,
    /// A permanent change.
    Add(i16),
    /// Adds 1, which the kernel undoes when the process ends.
    Hold,
    /// Undoes a [`Hold`](Self::Hold).
    Release,
}

pub(crate) fn semaphores(key: i32, count: c_int, flags: c_int) -> Result<i32, Errno> {
    // SAFETY: semget takes numbers only.
    Errno::result(unsafe { libc::semget(key, count, flags) })
}

/// Does all of the steps, at most four, or fails with EAGAIN. Never waits.
pub(crate) fn change(set: i32, steps: [&[SemaphoreStep]; 2]) -> Result<(), Errno> {
    const MAX_STEPS: usize = 4;
    let mut operations = [sembuf {
        sem_num: 0,
        sem_op: 0,
        sem_flg: 0,
    }; MAX_STEPS];
    for (operation, step) in operations.iter_mut().zip(steps.into_iter().flatten()) {
        let (sem_op, undo) = match step.change {
            Change::IfZero => (0, 0),
            Change::Add(by) => (by, 0),
            Change::Hold => (1, libc::SEM_UNDO),
            Change::Release => (-1, libc::SEM_UNDO),
        };
        *operation = sembuf {
            sem_num: step.semaphore,
            sem_op,
            sem_flg: (libc::IPC_NOWAIT | undo) as i16,
        };
    }
    let count = steps
        .iter()
        .map(|some| some.len())
        .sum::<usize>()
        .min(MAX_STEPS);
    // SAFETY: semop reads `count` operations, and `operations` has at least as many.
    Errno::result(unsafe { libc::semop(set, operations.as_mut_ptr(), count) }).map(drop)
}

pub(crate) fn value(set: i32, semaphore: u16) -> Result<i32, Errno> {
    // SAFETY: GETVAL takes no further argument.
    Errno::result(unsafe { libc::semctl(set, c_int::from(semaphore), GETVAL) })
}

/// The process that changed a semaphore last, in the caller's pid namespace; 0 if it is in another.
pub(crate) fn last_changer(set: i32, semaphore: u16) -> Result<u32, Errno> {
    // SAFETY: GETPID takes no further argument.
    let pid = Errno::result(unsafe { libc::semctl(set, c_int::from(semaphore), GETPID) })?;
    Ok(u32::try_from(pid).unwrap_or(0))
}

pub(crate) fn set_value(set: i32, semaphore: u16, value: c_int) -> Result<(), Errno> {
    // SAFETY: SETVAL takes a number.
    Errno::result(unsafe { libc::semctl(set, c_int::from(semaphore), SETVAL, value) }).map(drop)
}

pub(crate) fn remove_semaphores(set: i32) -> Result<(), Errno> {
    // SAFETY: IPC_RMID takes no further argument.
    Errno::result(unsafe { libc::semctl(set, 0, libc::IPC_RMID) }).map(drop)
}
