//! Coming and going: who may take an end, what the other side is told, and that the next
//! holder goes on where the last one stopped.

use crate::support;
use crate::support::kinds::{kind, one_of_each};
use crate::support::{NEVER, Name, PATIENCE, is_asleep, start, thread_id, until};
use slipring::error::{
    AttachError, Disconnected, PopError, PopTimeoutError, PushError, TryPopError, TryPushError,
};
use slipring::{Options, Peer, Protocol, Ring, Role, WaitStrategy};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

for_each_kind! {
    all_backings:
        a_second_holder_of_an_end_is_refused_with_the_firsts_pid
        a_peer_never_came_is_present_left_died_or_closed
        pop_waits_for_a_producer_that_never_came
        push_without_a_consumer_fills_the_ring_and_then_waits
        what_is_there_is_popped_before_the_producers_end_is_reported
        the_same_consumer_goes_on_with_one_producer_after_another
        the_same_producer_goes_on_with_one_consumer_after_another
        either_end_starts_again_where_it_stopped_whoever_holds_it
        closing_in_another_process_ends_blocked_calls_and_is_final
    ;
}

/// Pushes or pops the numbers from `first` to before `end`, waits to be told, and goes: by
/// leaving, by dying, or after closing the ring.
#[test]
#[ignore = "the other process of a test"]
fn role_passes_by() {
    if let Some(role) = support::role("role_passes_by") {
        call_for_kind!(role.text(5), passes_by(&role));
    }
}

fn passes_by<P: Protocol>(role: &support::Role) {
    let ring = Ring::<u64, P>::open(role.text(0)).unwrap();
    let numbers = role.number(2)..role.number(3);
    let go = || {
        role.is_told();
        match role.text(4) {
            "leaves" => {}
            "dies" => support::kill_process(process::id()),
            "closes" => ring.close(),
            way => panic!("{way}?"),
        }
    };
    match role.text(1) {
        "producer" => {
            let mut producer = ring.producer().unwrap();
            numbers.for_each(|number| producer.push(&number).unwrap());
            go();
        }
        "consumer" => {
            let mut consumer = ring.consumer().unwrap();
            numbers.for_each(|number| assert_eq!(consumer.pop(), Ok(number)));
            go();
        }
        "neither" => go(),
        part => panic!("{part}?"),
    }
}

fn taken(role: Role, pid: u32) -> impl Fn(&AttachError) -> bool {
    move |error| match error {
        AttachError::Taken {
            role: r, pid: p, ..
        } => (*r, *p) == (role, Some(pid)),
        AttachError::NoSeat {
            role: r, holders, ..
        } => *r == role && *holders == [pid],
        _ => false,
    }
}

fn a_second_holder_of_an_end_is_refused_with_the_firsts_pid<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create_with(&name, &one_of_each::<P>().capacity(2)).unwrap();
    for (role, part) in [(Role::Producer, "producer"), (Role::Consumer, "consumer")] {
        let mut peer = start(
            "role_passes_by",
            &[&name, &part, &0, &0, &"leaves", &kind::<P>()],
        );
        let attempt = || match role {
            Role::Producer => ring.producer().map(drop),
            Role::Consumer => ring.consumer().map(drop),
        };
        let pid = peer.pid();
        // Trying to take the end already now could keep the peer from it.
        let present = Ok(Peer::Present { pid });
        match role {
            Role::Producer => {
                let consumer = ring.consumer().unwrap();
                until("it comes", || consumer.peer() == present);
            }
            Role::Consumer => {
                let producer = ring.producer().unwrap();
                until("it comes", || producer.peer() == present);
            }
        }
        for _ in 0..100 {
            let refused = attempt().unwrap_err();
            assert!(taken(role, pid)(&refused), "{refused:?}");
            assert!(refused.to_string().contains(&pid.to_string()), "{refused}");
        }
        peer.tell();
        peer.finish();
        attempt().unwrap();
    }
    let _held = ring.producer().unwrap();
    let refused = ring.clone().producer().unwrap_err();
    assert!(
        taken(Role::Producer, process::id())(&refused),
        "{refused:?}"
    );
}

fn a_peer_never_came_is_present_left_died_or_closed<P: Protocol>() {
    for (part, other) in [("producer", "consumer"), ("consumer", "producer")] {
        let name = Name::new("ring");
        let ring = Ring::<u64, P>::create(&name, 2).unwrap();
        let mut consumer = (part == "producer").then(|| ring.consumer().unwrap());
        let mut producer = (other == "producer").then(|| ring.producer().unwrap());
        let mut peer_is = || match (&mut consumer, &mut producer) {
            (Some(end), _) => end.peer().unwrap(),
            (_, Some(end)) => end.peer().unwrap(),
            _ => unreachable!(),
        };
        assert_eq!(peer_is(), Peer::NeverCame);
        for _ in 0..2 {
            for way in ["leaves", "dies"] {
                let mut peer = start(
                    "role_passes_by",
                    &[&name, &part, &0, &0, &way, &kind::<P>()],
                );
                let pid = peer.pid();
                until("it comes", || peer_is() == Peer::Present { pid });
                peer.tell();
                peer.reap();
                let expected = match way {
                    "leaves" => Peer::Left,
                    _ => Peer::Died { pid },
                };
                assert_eq!(peer_is(), expected);
            }
        }
        start(
            "role_passes_by",
            &[&name, &"neither", &0, &0, &"closes", &kind::<P>()],
        )
        .finish();
        assert_eq!(peer_is(), Peer::Closed);
    }
}

fn pop_waits_for_a_producer_that_never_came<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let thread = AtomicU32::new(0);
    thread::scope(|scope| {
        let popping = scope.spawn(|| {
            thread.store(thread_id(), SeqCst);
            consumer.pop()
        });
        until("pop sleeps", || {
            is_asleep(process::id(), thread.load(SeqCst))
        });
        let peer = start(
            "role_passes_by",
            &[&name, &"producer", &7, &8, &"leaves", &kind::<P>()],
        );
        assert_eq!(popping.join().unwrap(), Ok(7));
        peer.finish();
    });
}

fn push_without_a_consumer_fills_the_ring_and_then_waits<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let peer = start(
        "role_passes_by",
        &[&name, &"producer", &0, &10, &"leaves", &kind::<P>()],
    );
    peer.falls_asleep();
    assert_eq!(ring.len(), 4);
    let mut consumer = ring.consumer().unwrap();
    for number in 0..10 {
        assert_eq!(consumer.pop_timeout(PATIENCE), Ok(number));
    }
    peer.finish();
}

fn what_is_there_is_popped_before_the_producers_end_is_reported<P: Protocol>() {
    for way in ["leaves", "dies", "closes"] {
        let name = Name::new("ring");
        let ring = Ring::<u64, P>::create(&name, 8).unwrap();
        let mut consumer = ring.consumer().unwrap();
        let mut peer = start(
            "role_passes_by",
            &[&name, &"producer", &0, &6, &way, &kind::<P>()],
        );
        peer.tell();
        peer.reap();
        let gone = match way {
            "leaves" => Disconnected::Left,
            "dies" => Disconnected::Died { pid: peer.pid() },
            _ => Disconnected::Closed,
        };
        assert_eq!(consumer.try_pop(), Ok(0));
        assert_eq!(consumer.pop_timeout(PATIENCE), Ok(1));
        assert_eq!(consumer.pop(), Ok(2));
        assert_eq!(consumer.read().unwrap().get(), 3);
        let mut rest = [0; 4];
        assert_eq!(consumer.pop_slice(&mut rest), Ok(2));
        assert_eq!(rest, [4, 5, 0, 0]);

        assert_eq!(consumer.try_pop(), Err(TryPopError::Disconnected(gone)));
        assert_eq!(consumer.pop(), Err(PopError::Disconnected(gone)));
        assert_eq!(
            consumer.pop_timeout(PATIENCE),
            Err(PopTimeoutError::Disconnected(gone))
        );
        assert_eq!(
            consumer.pop_slice(&mut rest),
            Err(PopError::Disconnected(gone))
        );
    }
}

fn the_same_consumer_goes_on_with_one_producer_after_another<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let mut consumer = ring.consumer().unwrap();
    for (turn, way) in ["leaves", "dies", "dies", "leaves", "leaves", "dies"]
        .into_iter()
        .enumerate()
    {
        let first = turn as u64 * 10;
        let mut peer = start(
            "role_passes_by",
            &[
                &name,
                &"producer",
                &first,
                &(first + 10),
                &way,
                &kind::<P>(),
            ],
        );
        let mut popped = Vec::new();
        // The report of the last one's end may still come before the next one has.
        until("ten came", || {
            popped.extend(consumer.iter().take(10 - popped.len()));
            popped.len() == 10
        });
        assert_eq!(popped, (first..first + 10).collect::<Vec<_>>());
        peer.tell();
        peer.reap();
        assert!(matches!(
            consumer.pop(),
            Err(PopError::Disconnected(
                Disconnected::Left | Disconnected::Died { .. }
            ))
        ));
    }
}

fn the_same_producer_goes_on_with_one_consumer_after_another<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut next = 0;
    for (turn, way) in ["leaves", "dies", "dies", "leaves", "leaves", "dies"]
        .into_iter()
        .enumerate()
    {
        let first = turn as u64 * 10;
        let mut peer = start(
            "role_passes_by",
            &[
                &name,
                &"consumer",
                &first,
                &(first + 10),
                &way,
                &kind::<P>(),
            ],
        );
        until("ten went, and four are left", || {
            while next < first + 14 && producer.push(&next).is_ok() {
                next += 1;
            }
            next == first + 14
        });
        peer.tell();
        peer.reap();
        assert!(producer.is_full());
        let gone = match way {
            "leaves" => Disconnected::Left,
            _ => Disconnected::Died { pid: peer.pid() },
        };
        assert_eq!(producer.push(&next), Err(PushError::Disconnected(gone)));
    }
}

fn either_end_starts_again_where_it_stopped_whoever_holds_it<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 8).unwrap();
    let (mut pushed, mut popped) = (0, 0);
    for turn in 0..12_u64 {
        let way = if turn % 3 == 0 { "dies" } else { "leaves" };
        let end = popped + 8 - turn % 2;
        let mut peer = start(
            "role_passes_by",
            &[&name, &"producer", &pushed, &end, &way, &kind::<P>()],
        );
        peer.tell();
        peer.reap();
        pushed = end;
        let end = pushed - turn % 5;
        let mut peer = start(
            "role_passes_by",
            &[&name, &"consumer", &popped, &end, &way, &kind::<P>()],
        );
        peer.tell();
        peer.reap();
        popped = end;
        assert_eq!(ring.len() as u64, pushed - popped);
    }
}

fn closing_in_another_process_ends_blocked_calls_and_is_final<P: Protocol>() {
    let (full, empty) = (Name::new("full"), Name::new("empty"));
    // Nothing but the wake-up can end the calls.
    let sleepy = Options::new()
        .capacity(2)
        .liveness_interval(NEVER)
        .wait(WaitStrategy::Sleep {
            spins: 0,
            yields: 0,
        });
    let full_ring = Ring::<u64, P>::create_with(&full, &sleepy).unwrap();
    let empty_ring = Ring::<u64, P>::create_with(&empty, &sleepy).unwrap();
    let mut producer = full_ring.producer().unwrap();
    let mut consumer = empty_ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();

    let (pushes, pops) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            pushes.store(thread_id(), SeqCst);
            producer.push(&3)
        });
        let popping = scope.spawn(|| {
            pops.store(thread_id(), SeqCst);
            consumer.pop()
        });
        until("both sleep", || {
            is_asleep(process::id(), pushes.load(SeqCst))
                && is_asleep(process::id(), pops.load(SeqCst))
        });
        for name in [&full, &empty] {
            start(
                "role_passes_by",
                &[name, &"neither", &0, &0, &"closes", &kind::<P>()],
            )
            .finish();
        }
        let closed = Disconnected::Closed;
        assert_eq!(pushing.join().unwrap(), Err(closed.into()));
        assert_eq!(popping.join().unwrap(), Err(closed.into()));
    });

    let closed = Disconnected::Closed;
    drop(producer);
    let mut successor = full_ring.producer().unwrap();
    assert_eq!(
        successor.try_push(&3),
        Err(TryPushError::Disconnected(closed))
    );
    let mut drain = full_ring.consumer().unwrap();
    assert_eq!(drain.pop(), Ok(1));
    assert_eq!(drain.pop(), Ok(2));
    assert_eq!(drain.pop(), Err(PopError::Disconnected(closed)));
    // Now there is room, and still nothing goes in.
    assert_eq!(successor.push(&3), Err(PushError::Disconnected(closed)));
    assert!(Ring::<u64, P>::open(&full).unwrap().is_closed());
}
