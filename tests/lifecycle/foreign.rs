//! Rings between programs that were built for different processors: the same bytes, the same
//! protocol. The other program is this one's other build, if there is one, and else this one again;
//! `cargo run -p xtask -- aarch64` makes both and runs them against each other.

use crate::support;
use crate::support::kinds::{is_mpmc, kind, one_of_each};
use crate::support::{Name, PATIENCE, start_foreign, until};
use slipring::error::{Disconnected, PopError, PopTimeoutError};
use slipring::{Consumer, Message, Options, Peer, Producer, Protocol, Ring, WaitStrategy};

for_each_kind! {
    memory_and_files:
        what_one_left_in_a_file_the_other_reads
    ;
    all_backings:
        messages_go_both_ways
        who_was_killed_there_is_recovered_here
    ;
}

const ASLEEP_AT_ONCE: WaitStrategy = WaitStrategy::Sleep {
    spins: 0,
    yields: 0,
};
const MESSAGES: u64 = 300;

/// Each byte of it is of another value, so that their order shows.
fn value(number: u64) -> [u64; 3] {
    [number ^ 0x0102_0304_0506_0708, !number, number << 32]
}

/// Of all lengths.
fn text(number: u64) -> Vec<u8> {
    let len = number as usize * 7 % 90;
    (0..len).map(|at| (at as u64 + number) as u8).collect()
}

fn options<P: Protocol>() -> Options {
    // Both programs, and the kernel for both, put each other to sleep and wake each other up.
    one_of_each::<P>().capacity(8).wait(ASLEEP_AT_ONCE)
}

fn push_all<M: Message + ?Sized, P: Protocol>(
    producer: &mut Producer<M, P>,
    make: impl Fn(u64) -> M::Owned,
) where
    M::Owned: std::borrow::Borrow<M>,
{
    for number in 0..MESSAGES {
        producer
            .push(std::borrow::Borrow::borrow(&make(number)))
            .unwrap();
    }
}

fn pop_all<M: Message + ?Sized, P: Protocol>(
    consumer: &mut Consumer<M, P>,
    make: impl Fn(u64) -> M::Owned,
) where
    M::Owned: std::fmt::Debug + PartialEq,
{
    for number in 0..MESSAGES {
        assert_eq!(consumer.pop_timeout(PATIENCE), Ok(make(number)));
    }
}

#[test]
#[ignore = "the other process of a test"]
fn role_answers() {
    if let Some(role) = support::role("role_answers") {
        call_for_kind!(role.text(2), answer(&role));
    }
}

/// Takes what comes by the one ring, and sends the like by the other.
fn answer<P: Protocol>(role: &support::Role) {
    let there = Ring::<[u64; 3], P>::open_with(role.text(0), &options::<P>()).unwrap();
    let back = Ring::<[u8], P>::open_with(role.text(1), &options::<P>()).unwrap();
    let (mut consumer, mut producer) = (there.consumer().unwrap(), back.producer().unwrap());
    pop_all(&mut consumer, value);
    push_all(&mut producer, text);
    // And once more, one by one.
    for number in 0..MESSAGES {
        assert_eq!(consumer.pop_timeout(PATIENCE), Ok(value(number)));
        producer.push(&text(number)).unwrap();
    }
}

fn messages_go_both_ways<P: Protocol>() {
    let (there, back) = (Name::new("there"), Name::new("back"));
    let values = Ring::<[u64; 3], P>::create_with(&there, &options::<P>()).unwrap();
    let texts = options::<P>().message_size(90);
    let texts = Ring::<[u8], P>::create_with(&back, &texts).unwrap();
    let (mut producer, mut consumer) = (values.producer().unwrap(), texts.consumer().unwrap());
    let peer = start_foreign("role_answers", &[&there, &back, &kind::<P>()]);
    push_all(&mut producer, value);
    pop_all(&mut consumer, text);
    let pid = peer.pid();
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    for number in 0..MESSAGES {
        producer.push(&value(number)).unwrap();
        assert_eq!(consumer.pop_timeout(PATIENCE), Ok(text(number)));
    }
    peer.finish();
    assert_eq!(producer.peer(), Ok(Peer::Left));
    let left = PopError::Disconnected(Disconnected::Left);
    assert_eq!(consumer.pop(), Err(left));
}

#[test]
#[ignore = "the other process of a test"]
fn role_dies_in_the_middle() {
    if let Some(role) = support::role("role_dies_in_the_middle") {
        call_for_kind!(role.text(1), die_in_the_middle(&role));
    }
}

fn die_in_the_middle<P: Protocol>(role: &support::Role) {
    let ring = Ring::<[u64; 3], P>::open(role.text(0)).unwrap();
    let mut producer = ring.producer().unwrap();
    producer.push(&value(1)).unwrap();
    let mut claim = producer.claim().unwrap();
    claim.write(&value(2));
    until("killed", || false);
}

fn who_was_killed_there_is_recovered_here<P: Protocol>() {
    let name = Name::new("killed");
    let ring = Ring::<[u64; 3], P>::create_with(&name, &options::<P>()).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut peer = start_foreign("role_dies_in_the_middle", &[&name, &kind::<P>()]);
    assert_eq!(consumer.pop_timeout(PATIENCE), Ok(value(1)));
    until("it holds a claim, in a ring that shows it", || {
        !is_mpmc::<P>()
            || slipring::Observer::open(&name)
                .unwrap()
                .snapshot()
                .unwrap()
                .tail
                == 2
    });
    peer.kill_and_reap();
    let died = Disconnected::Died { pid: peer.pid() };
    assert_eq!(
        consumer.pop_timeout(PATIENCE),
        Err(PopTimeoutError::Disconnected(died))
    );
    let mut producer = ring.producer().unwrap();
    producer.push(&value(3)).unwrap();
    assert_eq!(consumer.pop_timeout(PATIENCE), Ok(value(3)));
}

#[test]
#[ignore = "the other process of a test"]
fn role_reads_and_writes_a_file() {
    if let Some(role) = support::role("role_reads_and_writes_a_file") {
        call_for_kind!(role.text(2), read_and_write(&role));
    }
}

/// Reads the one ring, which nobody has open any more, and leaves the like in another.
fn read_and_write<P: Protocol>(role: &support::Role) {
    let found = Ring::<[u64; 3], P>::open_with(role.text(0), &of_the_far_end::<P>()).unwrap();
    read(&found);
    leave::<P>(role.text(1));
}

/// The low halves of its positions have wrapped.
fn of_the_far_end<P: Protocol>() -> Options {
    options::<P>()
        .first_position((7 << 32) - 3)
        .schema(0x0102_0304_0506_0708)
}

fn leave<P: Protocol>(name: &str) {
    let ring = Ring::<[u64; 3], P>::create_with(name, &of_the_far_end::<P>()).unwrap();
    let mut producer = ring.producer().unwrap();
    for number in 0..8 {
        producer.try_push(&value(number)).unwrap();
    }
    // Half of it is read before it is left.
    let mut consumer = ring.consumer().unwrap();
    for number in 0..4 {
        assert_eq!(consumer.try_pop(), Ok(value(number)));
    }
}

fn read<P: Protocol>(ring: &Ring<[u64; 3], P>) {
    assert_eq!(ring.len(), 4);
    let mut consumer = ring.consumer().unwrap();
    let mut producer = ring.producer().unwrap();
    for number in 8..12 {
        producer.try_push(&value(number)).unwrap();
    }
    for number in 4..12 {
        assert_eq!(consumer.try_pop(), Ok(value(number)));
    }
}

fn what_one_left_in_a_file_the_other_reads<P: Protocol>() {
    let (ours, theirs) = (Name::new("ours"), Name::new("theirs"));
    leave::<P>(&ours);
    let header = |name: &Name| std::fs::read(name.path()).unwrap()[..0x80].to_vec();
    start_foreign(
        "role_reads_and_writes_a_file",
        &[&ours, &theirs, &kind::<P>()],
    )
    .finish();
    assert_eq!(header(&ours), header(&theirs), "every byte of the geometry");
    let found = Ring::<[u64; 3], P>::open_with(&theirs, &of_the_far_end::<P>()).unwrap();
    read(&found);
}
