//! System V segments and sets of semaphores.

use core::mem::{MaybeUninit, offset_of};
use core::ptr::NonNull;
use nix::errno::Errno;
use nix::libc::{self, c_int, sembuf, shmid_ds};

pub(crate) use nix::libc::{IPC_CREAT, IPC_EXCL, SHM_HUGETLB};

// From <linux/sem.h> and <linux/shm.h>.
const GETPID: c_int = 11;
const GETVAL: c_int = 12;
const SETVAL: c_int = 16;
const SHM_DEST: u32 = 0o1000;

/// What the kernel tells of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentStat {
    /// 0 once it was removed.
    pub(crate) key: i32,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    /// In the asker's pid namespace; 0 if it is not to be seen there.
    pub(crate) creator: u32,
    /// Whether it goes with the last process that has it attached.
    pub(crate) is_removed: bool,
}

pub(crate) fn segment(key: i32, size: usize, flags: c_int) -> Result<i32, Errno> {
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::shmget(key, size, flags) })
}

pub(crate) fn segment_stat(id: i32) -> Result<SegmentStat, Errno> {
    let stat = raw_stat(id)?;
    const { assert!(offset_of!(shmid_ds, shm_perm) == 0) };
    // The C libraries have different names for the key, which comes first in all of them.
    // SAFETY: the structure begins with its permissions, and these with the key.
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
    // SAFETY: IPC_STAT writes one structure.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_STAT, stat.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded.
    Ok(unsafe { stat.assume_init() })
}

pub(crate) fn set_segment_owner(id: i32, owner: u32) -> Result<(), Errno> {
    let mut stat = raw_stat(id)?;
    stat.shm_perm.uid = owner;
    // SAFETY: IPC_SET reads the structure.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut stat) }).map(drop)
}

pub(crate) fn set_semaphores_owner(set: i32, owner: u32) -> Result<(), Errno> {
    /// As in <linux/sem.h>: the permissions come first, and what follows is less than this.
    #[repr(C)]
    struct Stat {
        permissions: libc::ipc_perm,
        _rest: [u64; 16],
    }
    let mut stat = MaybeUninit::<Stat>::zeroed();
    // SAFETY: IPC_STAT writes one structure, for which there is room.
    Errno::result(unsafe { libc::semctl(set, 0, libc::IPC_STAT, stat.as_mut_ptr()) })?;
    // SAFETY: numbers, all of which were zeroes at least.
    let mut stat = unsafe { stat.assume_init() };
    stat.permissions.uid = owner;
    // SAFETY: IPC_SET reads the structure.
    Errno::result(unsafe { libc::semctl(set, 0, libc::IPC_SET, &raw mut stat) }).map(drop)
}

pub(crate) fn remove_segment(id: i32) -> Result<(), Errno> {
    // SAFETY: IPC_RMID takes no pointer.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_RMID, core::ptr::null_mut()) }).map(drop)
}

/// Attaches a whole segment at an address, in place of what is mapped there; to be read only, unless it is
/// to be written too.
///
/// # Safety
///
/// From `at` on, as many bytes as the segment takes are mapped, and nothing refers to them.
pub(crate) unsafe fn attach(id: i32, at: NonNull<u8>, is_writable: bool) -> Result<(), Errno> {
    let access = if is_writable { 0 } else { libc::SHM_RDONLY };
    // SAFETY: what is mapped there, and is replaced, is as large as the segment and nobody's, by this
    // function's contract.
    let attached = unsafe { libc::shmat(id, at.as_ptr().cast(), libc::SHM_REMAP | access) };
    match attached.addr() as isize {
        -1 => Err(Errno::last()),
        _ => Ok(()),
    }
}

/// A change of a semaphore by one, or a condition, of which several are met and done at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SemaphoreStep {
    pub(crate) semaphore: u16,
    pub(crate) change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Only if it is 0.
    IfZero,
    /// For good.
    Add(i16),
    /// Undone by the kernel when the process ends.
    Hold,
    /// The end of a hold.
    Release,
}

pub(crate) fn semaphores(key: i32, count: c_int, flags: c_int) -> Result<i32, Errno> {
    // SAFETY: takes numbers.
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
    // SAFETY: as many operations as there are steps.
    Errno::result(unsafe { libc::semop(set, operations.as_mut_ptr(), count) }).map(drop)
}

pub(crate) fn value(set: i32, semaphore: u16) -> Result<i32, Errno> {
    // SAFETY: GETVAL takes no further argument.
    Errno::result(unsafe { libc::semctl(set, c_int::from(semaphore), GETVAL) })
}

/// Who changed a semaphore last, in the asker's pid namespace; 0 if it is not to be seen there.
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
