//! The set of semaphores beside a System V segment, which has no descriptor to be locked.
//!
//! Each lock is a semaphore that is 0 while the lock is free and 1 while it is held, and that the
//! kernel sets back (SEM_UNDO) when its holder's process ends, after the address space is gone. The set
//! has the segment's key. What is in it besides locks is about params a ring, which can't be done
//! in one step here:
//!
//! * The mark says that the set is one of this kind. Whoever makes the set sets it together with
//!   taking the maker's lock.
//! * The maker's lock is held by whoever makes or removes a ring with this key.
//! * The draft is 1 while there may be a segment without a ring in it. If the maker's lock is free and the
//!   draft is 1, whoever was params that segment is dead.

use crate::backing::LockId;
use crate::sys::fork::Generation;
use crate::sys::ipc::{self, Change, IPC_CREAT, IPC_EXCL, SemaphoreStep};
use core::ops::Range;
use nix::errno::Errno;

const MARK: u16 = 0;
const MAKER: u16 = 1;
const DRAFT: u16 = 2;
const LOCKS: u16 = 3;

/// "SR" as a number that no counter gets to by itself.
const MARKED: i16 = 0x5352;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backing) struct Semaphores(i32);

/// A semaphore that is held.
#[derive(Debug)]
pub(in crate::backing) struct SemaphoreGuard {
    set: Semaphores,
    semaphore: u16,
    taken_in: Generation,
}

/// The right to make or remove a ring with a key.
#[derive(Debug)]
pub(in crate::backing) struct CreationLock {
    set: Semaphores,
    /// Whether the set has not been used for anything yet.
    pub(in crate::backing) is_new: bool,
    _held: SemaphoreGuard,
}

/// Why nobody else may make a ring with a key just now.
#[derive(Clone, Copy, Debug)]
pub(in crate::backing) enum Busy {
    /// Another one is at it.
    CreationLock { pid: u32 },
    /// The semaphores with this key are somebody else's.
    Foreign,
}

impl Semaphores {
    /// The set with a key, if it is of this kind.
    pub(in crate::backing) fn find(key: i32) -> Result<Option<Self>, Errno> {
        match ipc::semaphores(key, 0, 0) {
            Ok(set) if ipc::value(set, MARK)? == i32::from(MARKED) => Ok(Some(Self(set))),
            Ok(_) | Err(Errno::ENOENT) => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// Whether there certainly is no set with a key.
    pub(in crate::backing) fn is_missing(key: i32) -> bool {
        ipc::semaphores(key, 0, 0) == Err(Errno::ENOENT)
    }

    pub(in crate::backing) fn id(self) -> i32 {
        self.0
    }

    /// Takes a lock, unless somebody has it.
    pub(in crate::backing) fn take(self, lock: LockId) -> Result<Option<SemaphoreGuard>, Errno> {
        self.hold(semaphore(lock), &[])
    }

    /// Takes a semaphore together with more steps, or does none of them.
    fn hold(self, semaphore: u16, more: &[SemaphoreStep]) -> Result<Option<SemaphoreGuard>, Errno> {
        let own = [Change::IfZero, Change::Hold].map(|change| SemaphoreStep { semaphore, change });
        // Recovery comes by here, and allocates nothing.
        match ipc::change(self.0, [own.as_slice(), more]) {
            Ok(()) => Ok(Some(SemaphoreGuard {
                set: self,
                semaphore,
                taken_in: Generation::current(),
            })),
            Err(Errno::EAGAIN) => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    pub(in crate::backing) fn is_held(self, lock: LockId) -> Result<bool, Errno> {
        Ok(ipc::value(self.0, semaphore(lock))? != 0)
    }

    /// One of the seats that are held.
    pub(in crate::backing) fn held_seat(self, seats: &Range<u32>) -> Result<Option<u32>, Errno> {
        for seat in seats.clone() {
            if self.is_held(LockId::Seat(seat))? {
                return Ok(Some(seat));
            }
        }
        Ok(None)
    }

    /// Who made the segment that may never become a ring, if there may be one.
    pub(in crate::backing) fn draft_creator(self) -> Result<Option<u32>, Errno> {
        match ipc::value(self.0, DRAFT)? {
            0 => Ok(None),
            _ => ipc::last_changer(self.0, DRAFT).map(Some),
        }
    }

    /// Whether the set is as it was made: nobody has done anything with it.
    fn is_untouched(self) -> Result<bool, Errno> {
        for semaphore in 0..LOCKS {
            match (
                ipc::value(self.0, semaphore),
                ipc::last_changer(self.0, semaphore),
            ) {
                (Ok(0), Ok(0)) => {}
                (Ok(_), Ok(_)) => return Ok(false),
                // There are not as many.
                (Err(Errno::EINVAL), _) if semaphore > MARK => return Ok(false),
                (Err(refused), _) | (_, Err(refused)) => return Err(refused),
            }
        }
        Ok(true)
    }

    fn is_any_lock_held(self) -> Result<bool, Errno> {
        for semaphore in LOCKS.. {
            match ipc::value(self.0, semaphore) {
                Ok(0) => {}
                Ok(_) => return Ok(true),
                // Past the last one.
                Err(Errno::EINVAL) if semaphore > LOCKS => break,
                Err(refused) => return Err(refused),
            }
        }
        Ok(false)
    }
}

impl CreationLock {
    /// Takes the right to make a ring with a key, for which a set with `locks` is made if there is
    /// none.
    pub(in crate::backing) fn new(
        key: i32,
        locks: u32,
        mode: u32,
    ) -> Result<Result<Self, Busy>, Errno> {
        /// Times that others may make and remove the set between two looks at it.
        const TRIES: u32 = 100;
        let count = i32::try_from(u32::from(LOCKS) + locks).map_err(|_| Errno::ENOSPC)?;
        for _ in 0..TRIES {
            let made = ipc::semaphores(key, count, IPC_CREAT | IPC_EXCL | mode as i32);
            let found = match made {
                Err(Errno::EEXIST) => ipc::semaphores(key, 0, 0),
                // More than a set may have (SEMMSL).
                Err(Errno::EINVAL) => return Err(Errno::ENOSPC),
                made => made,
            };
            match found.and_then(|set| Self::take(Semaphores(set))) {
                Err(Errno::ENOENT | Errno::EIDRM | Errno::EINVAL) => {}
                Ok(Ok(mut maker)) => {
                    // What was found may be too small.
                    maker.is_new &= made.is_ok();
                    return Ok(Ok(maker));
                }
                refused => return refused,
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Takes the right to remove a ring with a key, if semaphores are there and nobody else has it.
    pub(in crate::backing) fn of(key: i32) -> Result<Option<Self>, Errno> {
        Ok(match Semaphores::find(key)? {
            Some(set) => Self::take(set)?.ok(),
            None => None,
        })
    }

    fn take(set: Semaphores) -> Result<Result<Self, Busy>, Errno> {
        let mark = ipc::value(set.0, MARK)?;
        let is_new = mark == 0 && set.is_untouched()?;
        let step = |change| SemaphoreStep {
            semaphore: MARK,
            change,
        };
        let held = if is_new {
            set.hold(MAKER, &[step(Change::IfZero), step(Change::Add(MARKED))])?
        } else if mark == i32::from(MARKED) {
            set.hold(MAKER, &[])?
        } else {
            return Ok(Err(Busy::Foreign));
        };
        Ok(match held {
            Some(held) => Ok(Self {
                set,
                is_new,
                _held: held,
            }),
            None => Err(Busy::CreationLock {
                pid: ipc::last_changer(set.0, MAKER)?,
            }),
        })
    }

    pub(in crate::backing) fn set(&self) -> Semaphores {
        self.set
    }

    /// Says that there may be a segment from here on that is not a ring yet, or no more.
    pub(in crate::backing) fn set_draft(&self, is_draft: bool) -> Result<(), Errno> {
        ipc::set_value(self.set.0, DRAFT, i32::from(is_draft))
    }

    /// Removes the set and the right with it, unless a lock is held.
    pub(in crate::backing) fn remove_unless_held(self) -> Result<bool, Errno> {
        let is_held = self.set.is_any_lock_held()?;
        if !is_held {
            ipc::remove_semaphores(self.set.0)?;
        }
        Ok(!is_held)
    }
}

impl Drop for SemaphoreGuard {
    fn drop(&mut self) {
        // In a forked child it is still the parent's.
        if !self.taken_in.is_past() {
            let release = SemaphoreStep {
                semaphore: self.semaphore,
                change: Change::Release,
            };
            // Of a set that was removed there is nothing to be released.
            let _ = ipc::change(self.set.0, [&[release], &[]]);
        }
    }
}

fn semaphore(lock: LockId) -> u16 {
    LOCKS + lock.index() as u16
}
