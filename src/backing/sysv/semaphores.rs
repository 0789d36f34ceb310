//! The set of semaphores beside a System V segment, which has no descriptor to be locked.
//!
//! Each lock is a semaphore: 0 while the lock is free, 1 while it is held. The kernel resets it
//! (SEM_UNDO) when the process of its holder ends, after the address space is gone. The set has
//! the key of the segment. Its other semaphores serve the creation of a ring, which takes more
//! than one step here:
//!
//! * The mark identifies the set as one of this kind. The creator of a set sets the mark and
//!   acquires the creation lock in one step.
//! * The creation lock is held by the process that creates or removes a ring with this key.
//! * The draft is 1 while there may be a segment without a ring in it. If the creation lock is
//!   free and the draft is 1, the process that created that segment is dead.
//!
//! A set can be removed at any time, and its id be that of another ring's set later. So an answer
//! about a lock counts only if the set has the expected key after it ([`Semaphores::check`]), and
//! every change follows such a check directly.

use crate::backing::LockId;
use crate::sys::fork::Generation;
use crate::sys::ipc::{self, Change, IPC_CREAT, IPC_EXCL, SemaphoreStep};
use core::ops::Range;
use nix::errno::Errno;

const MARK: u16 = 0;
const CREATION: u16 = 1;
const DRAFT: u16 = 2;
const LOCKS: u16 = 3;

/// "SR" as a number, which no count reaches by itself.
const MARKED: i16 = 0x5352;

/// A set, by its id, and the key that it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backing) struct Semaphores {
    id: i32,
    key: i32,
}

/// A semaphore that is held.
#[derive(Debug)]
pub(in crate::backing) struct SemaphoreGuard {
    set: Semaphores,
    semaphore: u16,
    taken_in: Generation,
}

/// The right to create or remove a ring with a key.
#[derive(Debug)]
pub(in crate::backing) struct CreationLock {
    set: Semaphores,
    /// Whether this is the first use of the set.
    pub(in crate::backing) is_new: bool,
    _held: SemaphoreGuard,
}

/// Why this process can't create a ring with a key at present.
#[derive(Clone, Copy, Debug)]
pub(in crate::backing) enum Busy {
    /// Another process holds the creation lock.
    CreationLock { pid: u32 },
    /// The semaphores with this key are not those of a ring.
    Foreign,
}

impl Semaphores {
    /// The set with a key, if it is of this kind.
    pub(in crate::backing) fn find(key: i32) -> Result<Option<Self>, Errno> {
        match ipc::semaphores(key, 0, 0) {
            Ok(id) if ipc::value(id, MARK)? == i32::from(MARKED) => Ok(Some(Self { id, key })),
            Ok(_) | Err(Errno::ENOENT) => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// Whether it is certain that no set has a key.
    pub(in crate::backing) fn is_missing(key: i32) -> bool {
        ipc::semaphores(key, 0, 0) == Err(Errno::ENOENT)
    }

    pub(in crate::backing) fn id(self) -> i32 {
        self.id
    }

    /// Whether the id is still that of the set: fails with EIDRM if it is that of another one, or
    /// as the kernel does if the set was removed.
    pub(in crate::backing) fn check(self) -> Result<(), Errno> {
        if ipc::semaphores_key(self.id)? == self.key {
            Ok(())
        } else {
            Err(Errno::EIDRM)
        }
    }

    /// Acquires a lock, unless it is held.
    pub(in crate::backing) fn take(self, lock: LockId) -> Result<Option<SemaphoreGuard>, Errno> {
        self.check()?;
        self.hold(semaphore(lock), &[])
    }

    /// Adds a hold to a semaphore that is 0, and does more steps, all at once or not at all.
    fn hold(self, semaphore: u16, more: &[SemaphoreStep]) -> Result<Option<SemaphoreGuard>, Errno> {
        let own = [Change::IfZero, Change::Hold].map(|change| SemaphoreStep { semaphore, change });
        // Recovery runs this code, and must not allocate.
        match ipc::change(self.id, [own.as_slice(), more]) {
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
        let value = ipc::value(self.id, semaphore(lock))?;
        self.check()?;
        Ok(value != 0)
    }

    /// One of the seats that are held.
    pub(in crate::backing) fn held_seat(self, seats: &Range<u32>) -> Result<Option<u32>, Errno> {
        let mut held = None;
        for seat in seats.clone() {
            if ipc::value(self.id, semaphore(LockId::Seat(seat)))? != 0 {
                held = Some(seat);
                break;
            }
        }
        // Once for all of them: after the last answer, the id is still that of the set.
        self.check()?;
        Ok(held)
    }

    /// The creator of the segment that may never become a ring, if there may be one.
    pub(in crate::backing) fn draft_creator(self) -> Result<Option<u32>, Errno> {
        match ipc::value(self.id, DRAFT)? {
            0 => Ok(None),
            _ => ipc::last_changer(self.id, DRAFT).map(Some),
        }
    }

    /// Whether the set is as it was created: no process has changed a semaphore.
    fn is_untouched(self) -> Result<bool, Errno> {
        for semaphore in 0..LOCKS {
            match (
                ipc::value(self.id, semaphore),
                ipc::last_changer(self.id, semaphore),
            ) {
                (Ok(0), Ok(0)) => {}
                (Ok(_), Ok(_)) => return Ok(false),
                // The set has fewer semaphores.
                (Err(Errno::EINVAL), _) if semaphore > MARK => return Ok(false),
                (Err(refused), _) | (_, Err(refused)) => return Err(refused),
            }
        }
        Ok(true)
    }

    fn is_any_lock_held(self) -> Result<bool, Errno> {
        for semaphore in LOCKS.. {
            match ipc::value(self.id, semaphore) {
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
    /// Acquires the right to create a ring with a key. Creates a set with `locks` if there is none.
    pub(in crate::backing) fn new(
        key: i32,
        locks: u32,
        mode: u32,
    ) -> Result<Result<Self, Busy>, Errno> {
        /// How often other processes may create or remove the set between two steps.
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
            match found.and_then(|id| Self::take(Semaphores { id, key })) {
                Err(Errno::ENOENT | Errno::EIDRM | Errno::EINVAL) => {}
                Ok(Ok(mut creation)) => {
                    // A set that was there before may be too small.
                    creation.is_new &= made.is_ok();
                    return Ok(Ok(creation));
                }
                refused => return refused,
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Acquires the right to remove a ring with a key, if there are semaphores and it is free.
    pub(in crate::backing) fn of(key: i32) -> Result<Option<Self>, Errno> {
        Ok(match Semaphores::find(key)? {
            Some(set) => Self::take(set)?.ok(),
            None => None,
        })
    }

    fn take(set: Semaphores) -> Result<Result<Self, Busy>, Errno> {
        let mark = ipc::value(set.id, MARK)?;
        let is_new = mark == 0 && set.is_untouched()?;
        let step = |change| SemaphoreStep {
            semaphore: MARK,
            change,
        };
        let held = if is_new {
            set.hold(CREATION, &[step(Change::IfZero), step(Change::Add(MARKED))])?
        } else if mark == i32::from(MARKED) {
            set.hold(CREATION, &[])?
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
                pid: ipc::last_changer(set.id, CREATION)?,
            }),
        })
    }

    pub(in crate::backing) fn set(&self) -> Semaphores {
        self.set
    }

    /// Records that there may be a segment that is not a ring yet, or that there is none.
    pub(in crate::backing) fn set_draft(&self, is_draft: bool) -> Result<(), Errno> {
        self.set.check()?;
        ipc::set_value(self.set.id, DRAFT, i32::from(is_draft))
    }

    /// Removes the set and the right with it, unless a lock is held.
    pub(in crate::backing) fn remove_unless_held(self) -> Result<bool, Errno> {
        let is_held = self.set.is_any_lock_held()?;
        if !is_held {
            self.set.check()?;
            ipc::remove_semaphores(self.set.id)?;
        }
        Ok(!is_held)
    }
}

impl Drop for SemaphoreGuard {
    fn drop(&mut self) {
        // In a forked child the lock is still the parent's. After the set was removed, the id may
        // be that of another ring: this would release that ring's lock.
        if !self.taken_in.is_past() && self.set.check().is_ok() {
            let release = SemaphoreStep {
                semaphore: self.semaphore,
                change: Change::Release,
            };
            // Fails if the set was removed, and with it the lock.
            let _ = ipc::change(self.set.id, [&[release], &[]]);
        }
    }
}

fn semaphore(lock: LockId) -> u16 {
    LOCKS + lock.index() as u16
}
