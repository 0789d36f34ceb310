//! How a process wants the pages of a ring.

/// How a ring can have larger pages than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HugePages {
    /// The kernel may use them, and does if it is set up to (`shmem_enabled`) and has some at hand.
    /// [`Ring::stat`](crate::Ring::stat) says what came of it.
    Advised,
    /// From those that the administrator has set aside (`nr_hugepages`); none else.
    Reserved,
}

/// How a process wants the pages of a ring.
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
