//! The system calls of operations, traced with strace. While there is room and data there are none.
//! Refused operations check liveness once per interval.

use crate::support;
use crate::support::kinds::{is_mpmc, kind};
use crate::support::strace::{calls_between, mark, trace_role};
use crate::support::{NEVER, Name};
use slipring::error::{TryPopError, TryPushError};
use slipring::{Options, Protocol, Ring};
use std::mem;

for_each_kind! {
    operations_enter_kernel_only_to_wait_or_check_liveness
}

#[test]
#[ignore = "the other process of a test"]
fn role_runs_marked_operations() {
    if let Some(role) = support::role("role_runs_marked_operations") {
        call_for_kind!(role.text(1), run_marked_operations(&role));
    }
}

fn run_marked_operations<P: Protocol>(role: &support::Role) {
    let options = Options::new().capacity(64).liveness_interval(NEVER);
    let ring = Ring::<u64, P>::create_with(role.text(0), &options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let others = is_mpmc::<P>().then(|| (ring.producer().unwrap(), ring.consumer().unwrap()));
    let mut room = Vec::with_capacity(64);

    mark("begin bare");
    for number in 0..300 {
        producer.try_push(&number).unwrap();
        producer.push(&number).unwrap();
        producer.push_timeout(&number, NEVER).unwrap();
        mem::forget(producer.try_claim().unwrap());
        let mut claim = producer.claim().unwrap();
        claim.write(&number);
        claim.commit();
        producer.push_slice(&[1; 20]).unwrap();
        assert_eq!(producer.try_push_slice(&[1; 10]), Ok(10));

        consumer.try_pop().unwrap();
        consumer.pop().unwrap();
        consumer.pop_timeout(NEVER).unwrap();
        consumer.try_read().unwrap().put_back();
        mem::forget(consumer.read().unwrap());
        assert_eq!(consumer.read().unwrap().get(), number);
        assert_eq!(consumer.pop_slice(&mut [0; 7]), Ok(7));
        room.clear();
        assert_eq!(consumer.try_pop_append(&mut room, 64), Ok(23));
        assert!(ring.is_empty() && consumer.is_empty() && !producer.is_full());
    }
    mark("end bare");

    mark("begin refused");
    for _ in 0..300 {
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        assert!(consumer.try_read().is_err() && consumer.try_pop_append(&mut room, 3).is_err());
    }
    assert_eq!(producer.try_push_slice(&[1; 65]), Ok(64));
    for _ in 0..300 {
        assert_eq!(producer.try_push(&1), Err(TryPushError::Full));
        assert!(producer.try_claim().is_err() && producer.try_push_slice(&[1; 3]).is_err());
    }
    mark("end refused");
    drop(others);
}

fn operations_enter_kernel_only_to_wait_or_check_liveness<P: Protocol>() {
    let name = Name::new("ring");
    let role = "role_runs_marked_operations";
    let Some(trace) = trace_role(role, &[&name, &kind::<P>()]) else {
        return;
    };
    assert_eq!(calls_between(&trace, "begin bare", "end bare"), [""; 0]);
    // Each of the two handles checks once, in a few calls, whether peers are present or dead.
    let refused = calls_between(&trace, "begin refused", "end refused");
    assert!((1..20).contains(&refused.len()), "{refused:#?}");
}
