//! Which clocks the library goes by: a wall clock that is set must not move a deadline.
//!
//! The C library reads clocks without entering the kernel, where a tracer sees nothing. Here the
//! function is this program's own, and enters it.

use crate::support;
use crate::support::kinds::kind;
use crate::support::{Name, skip, start_under};
use nix::libc::{self, c_int, clockid_t, timespec};
use slipring::error::{PopTimeoutError, PushTimeoutError};
use slipring::{Options, Protocol, Ring, WaitStrategy};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// In place of the C library's.
///
/// # Safety
///
/// As there: `time` is valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: the kernel writes one timespec, for which there is room.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int }
}

for_each_kind! {
    deadlines_go_by_the_monotonic_clock_alone
}

/// A call that the library never makes, to be found in a trace.
fn mark(what: &str) {
    let no_descriptor = -1;
    // SAFETY: the bytes outlive the call, which fails.
    unsafe { libc::write(no_descriptor, what.as_ptr().cast(), what.len()) };
}

#[test]
#[ignore = "the other process of a test"]
fn role_deadlines() {
    if let Some(role) = support::role("role_deadlines") {
        call_for_kind!(role.text(1), let_deadlines_pass(&role));
    }
}

/// Every way to wait, each until its deadline, and through ends of intervals before it.
fn let_deadlines_pass<P: Protocol>(role: &support::Role) {
    const TIME: Duration = Duration::from_millis(30);
    let options = Options::new()
        .capacity(2)
        .liveness_interval(Duration::from_millis(7));
    let _ring = Ring::<u64, P>::create_with(role.text(0), &options).unwrap();
    mark("begin");
    for wait in [
        WaitStrategy::default(),
        WaitStrategy::Spin,
        WaitStrategy::Sleep {
            spins: 0,
            yields: 0,
        },
    ] {
        let again = Ring::<u64, P>::open_with(role.text(0), &Options::new().wait(wait)).unwrap();
        let (mut producer, mut consumer) = (again.producer().unwrap(), again.consumer().unwrap());
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

fn deadlines_go_by_the_monotonic_clock_alone<P: Protocol>() {
    let works = Command::new("strace").args(["-qq", "true"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        return skip("there is no strace, or it may not trace");
    }
    let (name, trace) = (Name::new("ring"), Name::in_memory("trace"));
    let output = trace.path().display().to_string();
    let wrapper = ["strace", "-f", "-qq", "-e", "signal=none", "-o", &output];
    start_under(&wrapper, "role_deadlines", &[&name, &kind::<P>()]).finish();
    let trace = fs::read_to_string(&output).unwrap();
    let (_, after) = trace.split_once("\"begin\"").unwrap();
    let (within, _) = after.split_once("\"end\"").unwrap();
    let calls =
        |what: &str| -> Vec<&str> { within.lines().filter(|line| line.contains(what)).collect() };
    assert!(
        !calls("clock_gettime(CLOCK_MONOTONIC").is_empty(),
        "{within}"
    );
    // With that operation, an absolute time is on the monotonic clock.
    assert!(!calls("FUTEX_WAIT_BITSET").is_empty(), "{within}");
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
