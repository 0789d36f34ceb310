//! Processes in which membarrier(2) is forbidden, from the start or after attaching.

use crate::support::seccomp::confine;
use crate::support::{HeaderPage, NEVER, Name, fork_child, is_asleep, skip, until};
use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::WaitStatus;
use slipring::error::{CreateError, OpenError};
use slipring::{Fences, Options, Protocol, Ring};
use std::sync::atomic::Ordering::SeqCst;

for_each_kind! {
    rings_without_membarrier_get_symmetric_fences
    sleep_is_short_if_membarrier_is_forbidden_after_attach
}

/// The exit status of a child that cannot install a seccomp filter.
const NO_SECCOMP: i32 = 77;

/// Makes membarrier(2) fail with EPERM in this process. Returns `false` if that is not possible.
fn forbid_membarrier() -> bool {
    confine(&[libc::SYS_membarrier], Errno::EPERM)
}

fn rings_without_membarrier_get_symmetric_fences<P: Protocol>() {
    let (membarrier, symmetric) = (Name::new("membarrier"), Name::new("symmetric"));
    let options = Options::new().capacity(2).fences(Fences::Membarrier);
    match Ring::<u64, P>::create_with(&membarrier, &options) {
        Ok(_) => {}
        Err(CreateError::Fences { .. }) => return skip("this kernel has no membarrier"),
        Err(error) => panic!("{error}"),
    }
    let mut child = fork_child(|| {
        if !forbid_membarrier() {
            // SAFETY: `_exit` ends the process.
            unsafe { libc::_exit(NO_SECCOMP) }
        }
        Ring::<u64, P>::create(&symmetric, 2).unwrap();
        let refused = Ring::<u64, P>::create_with("/slipring-test-never", &options).unwrap_err();
        assert!(matches!(
            refused,
            CreateError::Fences {
                asked: Fences::Membarrier,
                ..
            }
        ));
        let refused = Ring::<u64, P>::open(&membarrier).unwrap_err();
        assert!(matches!(
            refused,
            OpenError::FencesUnavailable {
                found: Fences::Membarrier,
                ..
            }
        ));
        let ring = Ring::<u64, P>::open(&symmetric).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push(&7).unwrap();
    });
    match child.reap() {
        WaitStatus::Exited(_, 0) => {}
        WaitStatus::Exited(_, NO_SECCOMP) => return skip("no seccomp filter may be installed"),
        ended => panic!("{ended:?}"),
    }
    let options = Options::new().fences(Fences::Symmetric);
    let ring = Ring::<u64, P>::open_with(&symmetric, &options).unwrap();
    assert_eq!(ring.consumer().unwrap().pop(), Ok(7));
}

fn sleep_is_short_if_membarrier_is_forbidden_after_attach<P: Protocol>() {
    let name = Name::new("ring");
    let options = Options::new().capacity(2).liveness_interval(NEVER);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut producer = ring.producer().unwrap();
    let event = HeaderPage::of(&name).not_empty();
    let child = fork_child(|| {
        let mut consumer = Ring::<u64, P>::open(&name).unwrap().consumer().unwrap();
        forbid_membarrier();
        for number in 0..100 {
            assert_eq!(consumer.pop(), Ok(number));
        }
    });
    for number in 0..100 {
        until("the consumer sleeps", || {
            is_asleep(child.pid(), child.pid())
        });
        // Clear the ASLEEP bit, as if a processor without the fence did not observe the sleeper.
        event.fetch_and(!1, SeqCst);
        producer.push(&number).unwrap();
    }
    child.finish();
}
