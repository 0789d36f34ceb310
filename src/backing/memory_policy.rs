//! The options of a process for the pages of a ring.

/// How a ring gets huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HugePages {
    /// The kernel may use them. It does if it is configured to (`shmem_enabled`) and has some free.
    /// [`Ring::memory_stat`](crate::Ring::memory_stat) returns how many bytes have them.
    Advised,
    /// Only from those that the administrator has reserved (`nr_hugepages`).
    Reserved,
}

/// The options of a process for the pages of a ring.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MemoryPolicy {
    pub(crate) prefault: bool,
    pub(crate) lock: bool,
    pub(crate) huge: Option<HugePages>,
}

impl MemoryPolicy {
    pub(super) fn advises_huge_pages(&self) -> bool {
        self.huge == Some(HugePages::Advised)
    }

    pub(crate) fn reserves_huge_pages(&self) -> bool {
        self.huge == Some(HugePages::Reserved)
    }
}
