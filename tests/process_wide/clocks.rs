//! The clocks that the library reads. A change of the wall clock must not move a deadline.
//!
//! The C library reads clocks without a system call, so strace does not record it. This program
//! defines `clock_gettime` itself, with a system call.

use crate::support;
use crate::support::kinds::kind;
use crate::support::strace::{calls_between, mark, trace_role};
use crate::support::{ASLEEP_AT_ONCE, Name};
use nix::libc::{self, c_int, clockid_t, timespec};
use slipring::error::{PopTimeoutError, PushTimeoutError};
use slipring::{Options, Protocol, Ring, WaitStrategy};
use std::time::Duration;

/// Replaces the function of the C library.
///
/// # Safety
///
/// `time` must be valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: the kernel writes one timespec to `time`, which is valid for that.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int }
}

for_each_kind! {
    deadlines_use_only_the_monotonic_clock
}

#[test]
#[ignore = "the other process of a test"]
fn role_waits_until_deadlines() {
    if let Some(role) = support::role("role_waits_until_deadlines") {
        call_for_kind!(role.text(1), wait_until_deadlines(&role));
    }
}

/// Waits until the deadline with every strategy. Liveness intervals elapse before each deadline.
fn wait_until_deadlines<P: Protocol>(role: &support::Role) {
    const TIME: Duration = Duration::from_millis(30);
    let options = Options::new()
        .capacity(2)
        .liveness_interval(Duration::from_millis(7));
    let _ring = Ring::<u64, P>::create_with(role.text(0), &options).unwrap();
    mark("begin");
    for wait in [WaitStrategy::default(), WaitStrategy::Spin, ASLEEP_AT_ONCE] {
        let ring = Ring::<u64, P>::open_with(role.text(0), &Options::new().wait(wait)).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let refused = consumer.pop_timeout(TIME);
        assert!(matches!(refused, Err(PopTimeoutError::TimedOut)));
        assert!(consumer.read_timeout(TIME).is_err());
        assert_eq!(producer.try_push_slice(&[1, 2]), Ok(2));
        let refused = producer.push_timeout(&3, TIME);
        assert!(matches!(refused, Err(PushTimeoutError::TimedOut)));
        assert_eq!(consumer.try_iter().count(), 2);
    }
    mark("end");
}

fn deadlines_use_only_the_monotonic_clock<P: Protocol>() {
    let name = Name::new("ring");
    let role = "role_waits_until_deadlines";
    let Some(trace) = trace_role(role, &[&name, &kind::<P>()]) else {
        return;
    };
    let lines = calls_between(&trace, "begin", "end");
    let calls = |what: &str| -> Vec<&str> {
        let calls = lines.iter().copied();
        calls.filter(|line| line.contains(what)).collect()
    };
    assert!(
        !calls("clock_gettime(CLOCK_MONOTONIC").is_empty(),
        "{lines:#?}"
    );
    // This futex operation measures an absolute time-out on the monotonic clock.
    assert!(!calls("FUTEX_WAIT_BITSET").is_empty(), "{lines:#?}");
    assert_eq!(calls("REALTIME"), [""; 0]);
    for other in [
        "gettimeofday",
        "time(",
        "sleep(",
        "poll",
        "select(",
        "timer",
        "FUTEX_WAIT,",
    ] {
        assert_eq!(calls(&format!(" {other}")), [""; 0]);
    }
}
