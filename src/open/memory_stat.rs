//! The kernel's view of a ring's memory.

use crate::backing::{ObjectStat, Residency};

/// What the kernel reports about a ring's object, and about this process's mapping of it.
///
/// Where `/proc` does not report a value, [`resident`](Self::resident), [`locked`](Self::locked)
/// and [`huge`](Self::huge) are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryStat {
    /// The size of the object in bytes.
    pub size: u64,
    /// The permission bits of the object.
    pub mode: u32,
    /// The user ID of the owner.
    pub owner: u32,
    /// The group ID.
    pub group: u32,
    /// Bytes that this process's page tables map.
    pub resident: u64,
    /// Bytes that this process has locked into memory.
    pub locked: u64,
    /// Bytes that are mapped by huge pages.
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
