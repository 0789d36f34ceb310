//! System calls: thin typed wrappers, one subject per file.

pub(crate) mod clock;
pub(crate) mod fence;
pub(crate) mod futex;

#[cfg(not(any(loom, shuttle)))]
pub(crate) mod fork;
#[cfg(not(any(loom, shuttle)))]
pub(crate) mod ipc;
#[cfg(not(any(loom, shuttle)))]
pub(crate) mod lock;
#[cfg(not(any(loom, shuttle)))]
pub(crate) mod process;
#[cfg(not(any(loom, shuttle)))]
pub(crate) mod socket;
