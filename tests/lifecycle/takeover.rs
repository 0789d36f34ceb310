//! Attaching and detaching: which attach is refused, what the peer finds out, and that a successor
//! continues at the position of its predecessor.

use crate::support;
use crate::support::kinds::{kind, one_of_each};
use crate::support::{ASLEEP_AT_ONCE, NEVER, Name, TIME_LIMIT, start, until, while_asleep};
use slipring::error::{
    AttachError, Disconnected, PopError, PopTimeoutError, PushError, TryPopError, TryPushError,
};
use slipring::{Options, Peer, Protocol, Ring, Role};
use std::ops::Range;
use std::process;

for_each_kind! {
    all_backings:
        attach_to_held_seat_is_refused_with_pid_of_holder
        peer_is_never_came_present_left_died_or_closed
        pop_before_first_producer_blocks_until_message_arrives
        push_before_first_consumer_fills_ring_and_then_blocks
        messages_are_popped_before_producer_disconnect_is_reported
        consumer_continues_with_successive_producers
        producer_continues_with_successive_consumers
        successor_in_either_role_continues_at_same_position
        close_in_other_process_ends_blocked_calls_and_is_final
    ;
}

/// Pushes or pops a range of numbers, waits for a signal, and ends: it detaches, is killed, or
/// closes the ring first.
#[test]
#[ignore = "the other process of a test"]
fn role_transfers_and_ends() {
    if let Some(role) = support::role("role_transfers_and_ends") {
        call_for_kind!(role.text(5), transfers_and_ends(&role));
    }
}

fn transfers_and_ends<P: Protocol>(role: &support::Role) {
    let ring = Ring::<u64, P>::open(role.text(0)).unwrap();
    let numbers = role.number(2)..role.number(3);
    let end = || {
        role.wait_for_signal();
        match role.text(4) {
            "leaves" => {}
            "dies" => support::kill_process(process::id()),
            "closes" => ring.close(),
            way => panic!("unknown way {way}"),
        }
    };
    match role.text(1) {
        "producer" => {
            let mut producer = ring.producer().unwrap();
            numbers.for_each(|number| producer.push(&number).unwrap());
            end();
        }
        "consumer" => {
            let mut consumer = ring.consumer().unwrap();
            numbers.for_each(|number| assert_eq!(consumer.pop(), Ok(number)));
            end();
        }
        "neither" => end(),
        part => panic!("unknown part {part}"),
    }
}

/// Starts a peer that transfers `numbers` as a producer, a consumer or neither, and then ends in
/// the given way.
fn start_peer<P: Protocol>(
    name: &Name,
    part: &str,
    numbers: Range<u64>,
    way: &str,
) -> support::Peer {
    start(
        "role_transfers_and_ends",
        &[
            name,
            &part,
            &numbers.start,
            &numbers.end,
            &way,
            &kind::<P>(),
        ],
    )
}

/// As [`start_peer`], and waits until the peer has ended in that way.
fn run_peer<P: Protocol>(name: &Name, part: &str, numbers: Range<u64>, way: &str) -> support::Peer {
    let mut peer = start_peer::<P>(name, part, numbers, way);
    peer.signal();
    peer.reap();
    peer
}

/// Whether an attach was refused because a process holds the only seat of a role.
fn is_refused_for(error: &AttachError, role: Role, pid: u32) -> bool {
    match error {
        AttachError::Taken {
            role: r, pid: p, ..
        } => (*r, *p) == (role, Some(pid)),
        AttachError::NoSeat {
            role: r, holders, ..
        } => *r == role && *holders == [pid],
        _ => false,
    }
}

fn attach_to_held_seat_is_refused_with_pid_of_holder<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create_with(&name, &one_of_each::<P>().capacity(2)).unwrap();
    for (role, part) in [(Role::Producer, "producer"), (Role::Consumer, "consumer")] {
        let mut peer = start_peer::<P>(&name, part, 0..0, "leaves");
        let attempt = || match role {
            Role::Producer => ring.producer().map(drop),
            Role::Consumer => ring.consumer().map(drop),
        };
        let pid = peer.pid();
        // An attempt to attach before the peer is attached could take its seat.
        let present = Ok(Peer::Present { pid });
        match role {
            Role::Producer => {
                let consumer = ring.consumer().unwrap();
                until("the peer is attached", || consumer.peer() == present);
            }
            Role::Consumer => {
                let producer = ring.producer().unwrap();
                until("the peer is attached", || producer.peer() == present);
            }
        }
        for _ in 0..100 {
            let refused = attempt().unwrap_err();
            assert!(is_refused_for(&refused, role, pid), "{refused:?}");
            assert!(refused.to_string().contains(&pid.to_string()), "{refused}");
        }
        peer.signal();
        peer.finish();
        attempt().unwrap();
    }
    let _holder = ring.producer().unwrap();
    let refused = ring.clone().producer().unwrap_err();
    assert!(
        is_refused_for(&refused, Role::Producer, process::id()),
        "{refused:?}"
    );
}

fn peer_is_never_came_present_left_died_or_closed<P: Protocol>() {
    for (part, other) in [("producer", "consumer"), ("consumer", "producer")] {
        let name = Name::new("ring");
        let ring = Ring::<u64, P>::create(&name, 2).unwrap();
        let mut consumer = (part == "producer").then(|| ring.consumer().unwrap());
        let mut producer = (other == "producer").then(|| ring.producer().unwrap());
        let mut peer_is = || match (&mut consumer, &mut producer) {
            (Some(consumer), _) => consumer.peer().unwrap(),
            (_, Some(producer)) => producer.peer().unwrap(),
            _ => unreachable!(),
        };
        assert_eq!(peer_is(), Peer::NeverCame);
        for _ in 0..2 {
            for way in ["leaves", "dies"] {
                let mut peer = start_peer::<P>(&name, part, 0..0, way);
                let pid = peer.pid();
                until("the peer is attached", || {
                    peer_is() == Peer::Present { pid }
                });
                peer.signal();
                peer.reap();
                let expected = match way {
                    "leaves" => Peer::Left,
                    _ => Peer::Died { pid },
                };
                assert_eq!(peer_is(), expected);
            }
        }
        start_peer::<P>(&name, "neither", 0..0, "closes").finish();
        assert_eq!(peer_is(), Peer::Closed);
    }
}

fn pop_before_first_producer_blocks_until_message_arrives<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut peer = None;
    let popped = while_asleep(
        || consumer.pop(),
        || peer = Some(start_peer::<P>(&name, "producer", 7..8, "leaves")),
    );
    assert_eq!(popped, Ok(7));
    peer.unwrap().finish();
}

fn push_before_first_consumer_fills_ring_and_then_blocks<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let peer = start_peer::<P>(&name, "producer", 0..10, "leaves");
    peer.wait_until_asleep();
    assert_eq!(ring.len(), 4);
    let mut consumer = ring.consumer().unwrap();
    for number in 0..10 {
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(number));
    }
    peer.finish();
}

fn messages_are_popped_before_producer_disconnect_is_reported<P: Protocol>() {
    for way in ["leaves", "dies", "closes"] {
        let name = Name::new("ring");
        let ring = Ring::<u64, P>::create(&name, 8).unwrap();
        let mut consumer = ring.consumer().unwrap();
        let peer = run_peer::<P>(&name, "producer", 0..6, way);
        let ended = match way {
            "leaves" => Disconnected::Left,
            "dies" => Disconnected::Died { pid: peer.pid() },
            _ => Disconnected::Closed,
        };
        assert_eq!(consumer.try_pop(), Ok(0));
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(1));
        assert_eq!(consumer.pop(), Ok(2));
        assert_eq!(consumer.read().unwrap().get(), 3);
        let mut rest = [0; 4];
        assert_eq!(consumer.pop_slice(&mut rest), Ok(2));
        assert_eq!(rest, [4, 5, 0, 0]);

        assert_eq!(consumer.try_pop(), Err(TryPopError::Disconnected(ended)));
        assert_eq!(consumer.pop(), Err(PopError::Disconnected(ended)));
        assert_eq!(
            consumer.pop_timeout(TIME_LIMIT),
            Err(PopTimeoutError::Disconnected(ended))
        );
        assert_eq!(
            consumer.pop_slice(&mut rest),
            Err(PopError::Disconnected(ended))
        );
    }
}

fn consumer_continues_with_successive_producers<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let mut consumer = ring.consumer().unwrap();
    for (turn, way) in ["leaves", "dies", "dies", "leaves", "leaves", "dies"]
        .into_iter()
        .enumerate()
    {
        let first = turn as u64 * 10;
        let mut peer = start_peer::<P>(&name, "producer", first..first + 10, way);
        let mut popped = Vec::new();
        // Until the next producer is attached, the consumer reports the end of the previous one.
        until("ten messages are popped", || {
            popped.extend(consumer.iter().take(10 - popped.len()));
            popped.len() == 10
        });
        assert_eq!(popped, (first..first + 10).collect::<Vec<_>>());
        peer.signal();
        peer.reap();
        assert!(matches!(
            consumer.pop(),
            Err(PopError::Disconnected(
                Disconnected::Left | Disconnected::Died { .. }
            ))
        ));
    }
}

fn producer_continues_with_successive_consumers<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut next = 0;
    for (turn, way) in ["leaves", "dies", "dies", "leaves", "leaves", "dies"]
        .into_iter()
        .enumerate()
    {
        let first = turn as u64 * 10;
        let mut peer = start_peer::<P>(&name, "consumer", first..first + 10, way);
        until("ten messages are popped, and four are left", || {
            while next < first + 14 && producer.push(&next).is_ok() {
                next += 1;
            }
            next == first + 14
        });
        peer.signal();
        peer.reap();
        assert!(producer.is_full());
        let ended = match way {
            "leaves" => Disconnected::Left,
            _ => Disconnected::Died { pid: peer.pid() },
        };
        assert_eq!(producer.push(&next), Err(PushError::Disconnected(ended)));
    }
}

fn successor_in_either_role_continues_at_same_position<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 8).unwrap();
    let (mut pushed, mut popped) = (0, 0);
    for turn in 0..12_u64 {
        let way = if turn % 3 == 0 { "dies" } else { "leaves" };
        let end = popped + 8 - turn % 2;
        run_peer::<P>(&name, "producer", pushed..end, way);
        pushed = end;
        let end = pushed - turn % 5;
        run_peer::<P>(&name, "consumer", popped..end, way);
        popped = end;
        assert_eq!(ring.len() as u64, pushed - popped);
    }
}

fn close_in_other_process_ends_blocked_calls_and_is_final<P: Protocol>() {
    let (full, empty) = (Name::new("full"), Name::new("empty"));
    // Only a wake-up can end the calls.
    let options = Options::new()
        .capacity(2)
        .liveness_interval(NEVER)
        .wait(ASLEEP_AT_ONCE);
    let full_ring = Ring::<u64, P>::create_with(&full, &options).unwrap();
    let empty_ring = Ring::<u64, P>::create_with(&empty, &options).unwrap();
    let mut producer = full_ring.producer().unwrap();
    let mut consumer = empty_ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();

    let close = |name| start_peer::<P>(name, "neither", 0..0, "closes").finish();
    let mut popped = None;
    let pushed = while_asleep(
        || producer.push(&3),
        || {
            popped = Some(while_asleep(
                || consumer.pop(),
                || [&full, &empty].into_iter().for_each(close),
            ));
        },
    );
    let closed = Disconnected::Closed;
    assert_eq!(pushed, Err(closed.into()));
    assert_eq!(popped, Some(Err(closed.into())));
    drop(producer);
    let mut successor = full_ring.producer().unwrap();
    assert_eq!(
        successor.try_push(&3),
        Err(TryPushError::Disconnected(closed))
    );
    let mut draining = full_ring.consumer().unwrap();
    assert_eq!(draining.pop(), Ok(1));
    assert_eq!(draining.pop(), Ok(2));
    assert_eq!(draining.pop(), Err(PopError::Disconnected(closed)));
    // A closed ring refuses messages even when it has free slots.
    assert_eq!(successor.push(&3), Err(PushError::Disconnected(closed)));
    assert!(Ring::<u64, P>::open(&full).unwrap().is_closed());
}
