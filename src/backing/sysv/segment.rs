//! System V segments.

use super::semaphores::{Busy, CreationLock, Semaphores};
use crate::backing::allocate::not_for;
use crate::backing::mapping::{Mapping, PAGE, huge_page};
use crate::backing::{Access, BackingName, CreateParams, MemoryPolicy, syscall_error};
use crate::error::{CreateError, OpenError, SystemError, UnlinkError};
use crate::sys::clock::Instant;
use crate::sys::fork::Generation;
use crate::sys::ipc::{self, IPC_CREAT, IPC_EXCL, SHM_HUGETLB, SegmentStat};
use core::time::Duration;
use nix::errno::Errno;
use std::thread;

/// The pause between two checks of what another creator has done.
const RETRY_PAUSE: Duration = Duration::from_millis(1);

/// A segment and the set beside it. Its id is its own for as long as the segment is attached: a
/// value is dropped after the [`Mapping`] that it was created with.
#[derive(Debug)]
pub(in crate::backing) struct SysvSegment {
    id: i32,
    key: i32,
    size: u64,
    set: Semaphores,
    /// Held until the ring is complete.
    creation: Option<CreationLock>,
    opened_in: Generation,
}

impl SysvSegment {
    /// Creates a segment with a key, every page of it allocated and zero. Until it is
    /// [finished](Self::finish), other processes can see that it is not a ring yet.
    pub(in crate::backing) fn create(
        key: i32,
        size: u64,
        params: &CreateParams,
    ) -> Result<(Self, Mapping), CreateError> {
        let name = || BackingName::Key(key).to_string();
        let patience = Instant::now().after(params.lock_wait);
        loop {
            // Semaphores are created before the segment. If they were removed alone, new ones would
            // show every participant of the ring as dead.
            if Semaphores::is_missing(key) && ipc::segment(key, 0, 0).is_ok() {
                return Err(CreateError::Exists { name: name() });
            }
            let creation = match CreationLock::new(key, params.locks, params.mode) {
                Ok(Ok(creation)) => creation,
                Ok(Err(Busy::Foreign)) => return Err(CreateError::Exists { name: name() }),
                Ok(Err(Busy::CreationLock { pid })) if Instant::now() >= patience => {
                    return Err(CreateError::Unfinished {
                        name: name(),
                        creator: pid,
                    });
                }
                Ok(Err(Busy::CreationLock { .. })) => {
                    thread::sleep(RETRY_PAUSE);
                    continue;
                }
                Err(Errno::EACCES | Errno::EPERM) => {
                    return Err(CreateError::Permission { name: name() });
                }
                Err(Errno::ENOSPC) => return Err(CreateError::NoSemaphores { name: name() }),
                Err(refused) => return Err(syscall_error("semop", refused).into()),
            };
            if is_taken(key, &creation)? {
                if creation.is_new {
                    let _ = creation.remove_unless_held();
                }
                return Err(CreateError::Exists { name: name() });
            }
            if creation.is_new {
                return Self::make(key, size, params, creation);
            }
            // This set was created for another ring: it may be too small, or another user's.
            match creation.remove_unless_held() {
                Ok(true) => {}
                Ok(false) => return Err(CreateError::InUse { name: name() }),
                Err(Errno::EPERM | Errno::EACCES) => {
                    return Err(CreateError::Permission { name: name() });
                }
                Err(refused) => return Err(syscall_error("semctl", refused).into()),
            }
        }
    }

    fn make(
        key: i32,
        size: u64,
        params: &CreateParams,
        creation: CreationLock,
    ) -> Result<(Self, Mapping), CreateError> {
        let name = || BackingName::Key(key).to_string();
        let is_huge = params.policy.reserves_huge_pages();
        let page = if is_huge { huge_page() } else { PAGE };
        let no_space = || CreateError::NoSpace {
            name: name(),
            needed: size,
            available: 0,
        };
        let bytes = usize::try_from(size).map_err(|_| no_space())?;
        creation
            .set_draft(true)
            .map_err(|refused| syscall_error("semctl", refused))?;
        let mut flags = IPC_CREAT | IPC_EXCL | params.mode as i32;
        if is_huge {
            flags |= SHM_HUGETLB;
        }
        let id = match ipc::segment(key, bytes, flags) {
            Ok(id) => id,
            Err(refused) => {
                let _ = creation.set_draft(false);
                let _ = creation.remove_unless_held();
                return Err(match refused {
                    Errno::EEXIST => CreateError::Exists { name: name() },
                    Errno::EPERM if is_huge => CreateError::NotHuge { name: name() },
                    Errno::ENOMEM | Errno::EINVAL | Errno::ENOSPC if is_huge => {
                        CreateError::NoHugePages {
                            name: name(),
                            needed: size.div_ceil(page as u64),
                            page: page as u64,
                        }
                    }
                    // EINVAL: above the largest segment that is allowed.
                    Errno::EINVAL | Errno::ENOSPC | Errno::ENOMEM => no_space(),
                    refused => syscall_error("shmget", refused).into(),
                });
            }
        };
        let segment = Self {
            id,
            key,
            size,
            set: creation.set(),
            creation: Some(creation),
            opened_in: Generation::current(),
        };
        if let Some(owner) = params.owner {
            ipc::set_segment_owner(id, owner)
                .map_err(|refused| not_for(owner, "shmctl", &refused.into()))?;
            ipc::set_semaphores_owner(segment.set.id(), owner)
                .map_err(|refused| not_for(owner, "semctl", &refused.into()))?;
        }
        let (mapping, stat) = Mapping::of_segment(id, page, &params.policy, Access::ReadWrite)?;
        if stat.is_removed || stat.key != key || stat.size != size {
            return Err(syscall_error("shmat", Errno::EIDRM).into());
        }
        mapping.populate().map_err(|_| no_space())?;
        mapping.apply_policy(&params.policy)?;
        Ok((segment, mapping))
    }

    /// Records that the ring is complete, so that no process waits for it.
    pub(in crate::backing) fn finish(&mut self) -> Result<(), SystemError> {
        if let Some(creation) = &self.creation {
            creation
                .set_draft(false)
                .map_err(|refused| syscall_error("semctl", refused))?;
        }
        self.creation = None;
        Ok(())
    }

    /// Attaches the segment that a key or an id leads to, and waits until it is a ring.
    pub(in crate::backing) fn find(
        backing: &BackingName,
        policy: &MemoryPolicy,
        access: Access,
        patience: Duration,
    ) -> Result<(Self, Mapping, SegmentStat), OpenError> {
        let name = || backing.to_string();
        let to_error = |call| {
            move |refused| match refused {
                Errno::EACCES | Errno::EPERM => OpenError::Permission { name: name() },
                Errno::ENOENT | Errno::EIDRM | Errno::EINVAL => {
                    OpenError::NotFound { name: name() }
                }
                refused => syscall_error(call, refused).into(),
            }
        };
        let patience = Instant::now().after(patience);
        let id = match *backing {
            BackingName::Id(id) => id,
            BackingName::Key(key) => ipc::segment(key, 0, 0).map_err(to_error("shmget"))?,
            _ => return Err(OpenError::NotFound { name: name() }),
        };
        let found = ipc::segment_stat(id).map_err(to_error("shmctl"))?;
        if found.is_removed {
            return Err(OpenError::NotFound { name: name() });
        }
        let set = match found.key {
            // A private segment has no set beside it.
            0 => None,
            key => Semaphores::find(key).map_err(to_error("semget"))?,
        };
        let set = set.filter(|_| found.size >= PAGE as u64);
        let set = set.ok_or_else(|| OpenError::NotARing { name: name() })?;
        let (mapping, stat) = attach(id, policy, access)
            .map_err(|error| errno_of(&error).map_or_else(|| error.into(), to_error("shmat")))?;
        // If the segment was removed before the semaphores were found, they may be those of the
        // next one with the key, and the id may be that of another segment.
        if stat.is_removed || stat.key != found.key {
            return Err(OpenError::NotFound { name: name() });
        }
        while mapping.first_word() == 0 {
            let draft_creator = set.draft_creator().map_err(to_error("semctl"))?;
            let is_draft = draft_creator == Some(stat.creator);
            if !is_draft && mapping.first_word() == 0 {
                return Err(OpenError::NotARing { name: name() });
            }
            if ipc::segment_stat(id).is_ok_and(|stat| stat.is_removed) {
                return Err(OpenError::NotFound { name: name() });
            }
            if Instant::now() >= patience {
                return Err(OpenError::Unfinished {
                    name: name(),
                    creator: stat.creator,
                });
            }
            thread::sleep(RETRY_PAUSE);
        }
        let segment = Self {
            id,
            key: stat.key,
            size: stat.size,
            set,
            creation: None,
            opened_in: Generation::current(),
        };
        Ok((segment, mapping, stat))
    }

    /// Attaches the same segment once more, even if it was removed.
    pub(in crate::backing) fn reopen(
        &self,
        policy: &MemoryPolicy,
    ) -> Result<(Self, Mapping, SegmentStat), SystemError> {
        let (mapping, stat) = attach(self.id, policy, Access::ReadWrite)?;
        // A forked child does not have the segment attached: it may be gone, and the id be that of
        // another one.
        let is_same = stat.size == self.size && (stat.is_removed || stat.key == self.key);
        if !is_same {
            return Err(syscall_error("shmat", Errno::EIDRM));
        }
        let segment = Self {
            id: self.id,
            key: self.key,
            size: self.size,
            set: self.set,
            creation: None,
            opened_in: Generation::current(),
        };
        Ok((segment, mapping, stat))
    }

    pub(in crate::backing) fn set(&self) -> Semaphores {
        self.set
    }

    pub(in crate::backing) fn stat(&self) -> Result<SegmentStat, SystemError> {
        ipc::segment_stat(self.id).map_err(|refused| syscall_error("shmctl", refused))
    }

    /// Removes the segment. The semaphores are removed once no participant needs them.
    pub(in crate::backing) fn unlink(&self) -> Result<(), UnlinkError> {
        remove(&BackingName::Id(self.id))
    }

    /// Removes the segment, which must be attached. The last process that detaches it removes the
    /// semaphores.
    pub(in crate::backing) fn remove_own(&self) {
        // Without the permission, the segment stays.
        let _ = ipc::remove_segment(self.id);
    }
}

impl Drop for SysvSegment {
    /// After the segment was detached.
    fn drop(&mut self) {
        if self.opened_in.is_past() {
            return;
        }
        if let Some(creation) = self.creation.take() {
            // The segment did not become a ring. Another process may have removed it, and the id
            // be that of another one.
            if ipc::segment_stat(self.id).is_ok_and(|stat| stat.key == self.key) {
                let _ = ipc::remove_segment(self.id);
            }
            let _ = creation.remove_unless_held();
        } else if ipc::segment_stat(self.id).is_err() {
            // It was removed before, and this was the last process that had it attached. If the id
            // is that of another segment, the next creator with the key removes the semaphores.
            sweep(self.key);
        }
    }
}

/// Removes a segment with a key or an id, whatever it is. The semaphores beside it are removed as
/// soon as no participant holds a seat.
pub(in crate::backing) fn remove(backing: &BackingName) -> Result<(), UnlinkError> {
    let name = || backing.to_string();
    let to_error = |call| {
        move |refused| match refused {
            Errno::EACCES | Errno::EPERM => UnlinkError::Permission { name: name() },
            Errno::ENOENT | Errno::EIDRM | Errno::EINVAL => UnlinkError::NotFound { name: name() },
            refused => syscall_error(call, refused).into(),
        }
    };
    let found = match *backing {
        BackingName::Id(id) => Ok(id),
        BackingName::Key(key) => ipc::segment(key, 0, 0),
        _ => Err(Errno::ENOENT),
    };
    let id = found.map_err(to_error("shmget"))?;
    let key = match *backing {
        BackingName::Key(key) => key,
        _ => ipc::segment_stat(id).map_err(to_error("shmctl"))?.key,
    };
    ipc::remove_segment(id).map_err(to_error("shmctl"))?;
    if ipc::segment_stat(id).is_err() {
        sweep(key);
    }
    Ok(())
}

/// Removes the semaphores of a key that has no segment, unless a participant needs them.
fn sweep(key: i32) {
    if key == 0 {
        return;
    }
    // If that fails, the next creator of a ring with the key does it.
    if let Ok(Some(creation)) = CreationLock::of(key) {
        if ipc::segment(key, 0, 0) == Err(Errno::ENOENT) {
            let _ = creation.remove_unless_held();
        }
    }
}

/// Whether a key has a segment that must not be replaced. If its creator died before it
/// became a ring, it is removed.
fn is_taken(key: i32, creation: &CreationLock) -> Result<bool, SystemError> {
    let id = match ipc::segment(key, 0, 0) {
        Ok(id) => id,
        Err(Errno::ENOENT) => return Ok(false),
        Err(refused) => return Err(syscall_error("shmget", refused)),
    };
    let Ok(stat) = ipc::segment_stat(id) else {
        // Its state can't be read, so it is not known to be a draft.
        return Ok(true);
    };
    let draft_creator = creation.set().draft_creator();
    let draft_creator = draft_creator.map_err(|refused| syscall_error("semctl", refused))?;
    // This process holds the creation lock, so no other process is creating a ring there.
    if draft_creator != Some(stat.creator) {
        return Ok(true);
    }
    let (mapping, attached) = attach(id, &MemoryPolicy::default(), Access::ReadOnly)?;
    if attached.is_removed || attached.key != key || attached.creator != stat.creator {
        // The id belongs to another segment since.
        return Ok(true);
    }
    if mapping.first_word() != 0 {
        let recorded = creation.set_draft(false);
        return recorded
            .map(|()| true)
            .map_err(|refused| syscall_error("semctl", refused));
    }
    // While it is attached, its id can't become that of another segment.
    let removed = ipc::remove_segment(id);
    drop(mapping);
    removed
        .map(|()| false)
        .map_err(|refused| syscall_error("shmctl", refused))
}

/// Attaches a segment. The kernel reports no page size, but refuses addresses that don't fit it.
fn attach(
    id: i32,
    policy: &MemoryPolicy,
    access: Access,
) -> Result<(Mapping, SegmentStat), SystemError> {
    let attach_with = |page, policy: &_| Mapping::of_segment(id, page, policy, access);
    // First at an address where only the smallest pages fit.
    match attach_with(PAGE, &MemoryPolicy::default()) {
        Err(error) if errno_of(&error) == Some(Errno::EINVAL) => attach_with(huge_page(), policy),
        Ok(_) if policy.advises_huge_pages() => attach_with(PAGE, policy),
        attached => attached,
    }
}

fn errno_of(error: &SystemError) -> Option<Errno> {
    error.source.raw_os_error().map(Errno::from_raw)
}
