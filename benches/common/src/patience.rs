//! How those wait who never sleep.

use std::hint::spin_loop;
use std::thread;

/// The same for everybody: looks with a pause between them, and yields only where several
/// share a processor.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    spins: u32,
}

impl Patience {
    /// As many looks as the library's own default.
    pub const SPINS: u32 = 400;

    /// For who has a processor to itself.
    pub const ALONE: Self = Self { spins: u32::MAX };

    /// For those who share one.
    pub const AMONG_OTHERS: Self = Self { spins: Self::SPINS };

    /// Looks again until there is something.
    #[inline(always)]
    pub fn until<R>(self, mut attempt: impl FnMut() -> Option<R>) -> R {
        match attempt() {
            Some(done) => done,
            None => self.later(attempt),
        }
    }

    #[inline(never)]
    fn later<R>(self, mut attempt: impl FnMut() -> Option<R>) -> R {
        loop {
            for _ in 0..self.spins {
                spin_loop();
                if let Some(done) = attempt() {
                    return done;
                }
            }
            thread::yield_now();
        }
    }
}
