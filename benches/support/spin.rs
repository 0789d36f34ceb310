//! Waiting without sleeping.

use std::hint::spin_loop;
use std::thread;

/// Spins between attempts. It yields only where several processes share a processor.
#[derive(Clone, Copy, Debug)]
pub struct SpinWait {
    spins: u32,
}

impl SpinWait {
    /// Attempts before a yield, as many as the library makes by default.
    pub const SPINS: u32 = 400;

    /// For a process with a processor of its own.
    pub const DEDICATED: Self = Self { spins: u32::MAX };

    /// For processes that share a processor.
    pub const SHARED: Self = Self { spins: Self::SPINS };

    /// Repeats an attempt until it returns a value.
    #[inline(always)]
    pub fn until<R>(self, mut attempt: impl FnMut() -> Option<R>) -> R {
        match attempt() {
            Some(done) => done,
            None => self.until_slow(attempt),
        }
    }

    #[inline(never)]
    fn until_slow<R>(self, mut attempt: impl FnMut() -> Option<R>) -> R {
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
