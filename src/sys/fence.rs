//! The store-then-load fence between who publishes and who falls asleep.
//!
//! Both sides store one word and then load another, so at least one side must keep the two in
//! order for both. [`Fences::Membarrier`] puts the whole price on the side that is about to
//! sleep: `membarrier(2)` makes every registered process pass a full barrier, so the publisher
//! needs only that its compiler keeps the order. [`Fences::Symmetric`] is a SeqCst fence on
//! both sides, for kernels and sandboxes without that call.

use crate::properties::Fences;
use crate::sync::{SeqCst, fence};

#[cfg(not(any(loom, shuttle)))]
impl Fences {
    /// For the side that runs often.
    #[inline(always)]
    pub(crate) fn light(self) {
        match self {
            Self::Membarrier => crate::sync::compiler_fence(SeqCst),
            Self::Symmetric => fence(SeqCst),
        }
    }

    /// For the side that is about to sleep. `false` if the kernel, which once agreed to it,
    /// refuses: then nothing is promised, and the caller must not sleep long.
    pub(crate) fn heavy(self) -> bool {
        match self {
            Self::Membarrier => {
                // The system call orders nothing for this thread's compiler.
                fence(SeqCst);
                membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED) == 0
            }
            Self::Symmetric => {
                fence(SeqCst);
                true
            }
        }
    }

    /// Takes part in other processes' barriers from now on. `false` if the kernel can't or
    /// won't.
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

/// What the kernel answers; `i64::MIN`, which has no command's bit, when it refuses.
#[cfg(not(any(loom, shuttle)))]
fn membarrier(command: i64) -> i64 {
    use nix::libc;
    // SAFETY: membarrier takes a command and no pointer.
    let answer = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    if answer < 0 { i64::MIN } else { answer }
}

/// In a model both sides are full fences, which is what the pair amounts to.
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
