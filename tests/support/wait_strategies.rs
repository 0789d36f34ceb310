//! The wait strategies of tests.

use slipring::WaitStrategy;

/// Blocks in the kernel at once, without spinning or yielding first.
#[allow(dead_code, reason = "each test program uses some of this file")]
pub(crate) const ASLEEP_AT_ONCE: WaitStrategy = WaitStrategy::Sleep {
    spins: 0,
    yields: 0,
};
