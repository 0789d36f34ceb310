//! Processes that are not allowed to call membarrier(2), from the start or later.

use crate::support::{NEVER, Name, Page, fork_child, is_asleep, skip, until};
use nix::libc;
use nix::sys::wait::WaitStatus;
use slipring::error::{CreateError, OpenError};
use slipring::{Fences, Options, Protocol, Ring};
use std::sync::atomic::Ordering::SeqCst;

for_each_kind! {
    where_membarrier_is_forbidden_rings_have_symmetric_fences
    no_sleep_is_long_if_membarrier_is_forbidden_after_attaching
}

/// Has the kernel answer membarrier(2) with EPERM from now on.
fn forbid_membarrier() -> bool {
    const LOAD_CALL_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const SKIP_UNLESS_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        step(LOAD_CALL_NUMBER, 0, 0, 0),
        step(SKIP_UNLESS_EQUAL, 0, 1, libc::SYS_membarrier as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: takes numbers only.
    let refused = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program and its steps outlive the call.
    let refused = refused
        | unsafe {
            let filter = libc::SECCOMP_MODE_FILTER;
            libc::prctl(libc::PR_SET_SECCOMP, filter, &raw const program)
        };
    refused == 0
}

fn where_membarrier_is_forbidden_rings_have_symmetric_fences<P: Protocol>() {
    let (with, without) = (Name::new("with"), Name::new("without"));
    let asked = Options::new().capacity(2).fences(Fences::Membarrier);
    match Ring::<u64, P>::create_with(&with, &asked) {
        Ok(_) => {}
        Err(CreateError::Fences { .. }) => return skip("this kernel has no membarrier"),
        Err(error) => panic!("{error}"),
    }
    let mut child = fork_child(|| {
        if !forbid_membarrier() {
            // SAFETY: ends the process, with a number that nothing else uses.
            unsafe { libc::_exit(77) }
        }
        Ring::<u64, P>::create(&without, 2).unwrap();
        let refused = Ring::<u64, P>::create_with("/slipring-test-never", &asked).unwrap_err();
        assert!(matches!(
            refused,
            CreateError::Fences {
                asked: Fences::Membarrier,
                ..
            }
        ));
        let refused = Ring::<u64, P>::open(&with).unwrap_err();
        assert!(matches!(
            refused,
            OpenError::FencesUnavailable {
                found: Fences::Membarrier,
                ..
            }
        ));
        let ring = Ring::<u64, P>::open(&without).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push(&7).unwrap();
    });
    match child.reap() {
        WaitStatus::Exited(_, 0) => {}
        WaitStatus::Exited(_, 77) => return skip("no seccomp filter may be installed"),
        ended => panic!("{ended:?}"),
    }
    let symmetric = Options::new().fences(Fences::Symmetric);
    let ring = Ring::<u64, P>::open_with(&without, &symmetric).unwrap();
    assert_eq!(ring.consumer().unwrap().pop(), Ok(7));
}

fn no_sleep_is_long_if_membarrier_is_forbidden_after_attaching<P: Protocol>() {
    let name = Name::new("ring");
    let options = Options::new().capacity(2).liveness_interval(NEVER);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut producer = ring.producer().unwrap();
    let event = Page::of(&name).not_empty();
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
        // What a processor that overtakes would make of it: the sleeper is not seen.
        event.fetch_and(!1, SeqCst);
        producer.push(&number).unwrap();
    }
    child.finish();
}
