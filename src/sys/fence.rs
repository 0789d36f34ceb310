//! The store-then-load fence between a participant that publishes and one that blocks.
//!
//! Both sides store one word and then load another, so at least one side must keep the two in
//! order for both. [`Fences::Membarrier`] puts the whole cost on the side that is about to block:
//! `membarrier(2)` makes every registered process pass a full barrier, so the publisher needs only
//! a compiler fence. [`Fences::Symmetric`] is a SeqCst fence on both sides, for kernels and
//! sandboxes without that call.

#![allow(unsafe_code)]

use crate::properties::Fences;
use crate::sync::{SeqCst, fence};

#[cfg(not(any(loom, shuttle)))]
impl Fences {
    /// The fence of the side that publishes.
    #[inline(always)]
    pub(crate) fn light(self) {
        match self {
            Self::Membarrier => crate::sync::compiler_fence(SeqCst),
            Self::Symmetric => fence(SeqCst),
        }
    }

    /// The fence of the side that is about to block. `false` if the kernel refuses, although it
    /// accepted the registration: then no order is guaranteed, and the caller must not block long.
    pub(crate) fn heavy(self) -> bool {
        match self {
            Self::Membarrier => {
                // The system call does not order this thread's accesses for the compiler.
                fence(SeqCst);
                membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED) == 0
            }
            Self::Symmetric => {
                fence(SeqCst);
                true
            }
        }
    }

    /// Registers this process for the barriers of other processes. `false` if the kernel lacks the
    /// call or refuses it.
    pub(crate) fn register(self) -> bool {
        const NEEDED: i64 =
            MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
        match self {
            Self::Membarrier => {
                membarrier(MEMBARRIER_CMD_QUERY) & NEEDED == NEEDED
                    && membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0
            }
            Self::Symmetric => true,
        }
    }
}

// From <linux/membarrier.h>.
#[cfg(not(any(loom, shuttle)))]
const MEMBARRIER_CMD_QUERY: i64 = 0;
#[cfg(not(any(loom, shuttle)))]
const MEMBARRIER_CMD_GLOBAL_EXPEDITED: i64 = 1 << 1;
#[cfg(not(any(loom, shuttle)))]
const MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED: i64 = 1 << 2;

/// The result of the call; `i64::MIN`, which has no bit of a command, if the kernel refuses.
#[cfg(not(any(loom, shuttle)))]
fn membarrier(command: i64) -> i64 {
    use nix::libc;
    // SAFETY: membarrier takes numbers only.
    let answer = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    if answer < 0 { i64::MIN } else { answer }
}

/// In a model both sides are full fences, which have the same effect as the pair.
#[cfg(any(loom, shuttle))]
impl Fences {
    pub(crate) fn light(self) {
        fence(SeqCst); // F
    }

    pub(crate) fn heavy(self) -> bool {
        fence(SeqCst); // F
        true
    }
}
