//! What the kernel tells of a ring's memory.

use crate::backing::{ObjectStat, Residency};

/// What the kernel tells of a ring's object, and of this process's mapping of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryStat {
    /// The size of the object in bytes.
    pub size: u64,
    /// Who may open it: the permission bits.
    pub mode: u32,
    /// The user whose it is.
    pub owner: u32,
    /// The group whose it is.
    pub group: u32,
    /// How many bytes are entered in this process's page tables. This and what follows is 0 where /proc
    /// does not tell.
    pub resident: u64,
    /// How many bytes this process has locked into memory.
    pub locked: u64,
    /// How many bytes are mapped by huge pages.
    pub huge: u64,
}

impl MemoryStat {
    pub(super) fn new(stat: &ObjectStat, residency: &Residency) -> Self {
        Self {
            size: stat.size,
            mode: stat.mode,
            owner: stat.owner,
            group: stat.group,
            resident: residency.resident,
            locked: residency.locked,
            huge: residency.huge,
        }
    }
}
