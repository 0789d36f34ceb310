//! The death of one process at a chosen moment (in a claim, in a guard, while blocked), and how its
//! peer finds out.

use crate::support;
use crate::support::kinds::kind;
use crate::support::{
    ASLEEP_AT_ONCE, HeaderPage, NEVER, Name, SharedWords, TIME_LIMIT, fork_child, start, state_of,
    thread_id, until,
};
use slipring::error::{
    Disconnected, PopError, PopTimeoutError, PushError, PushTimeoutError, TryPopError, TryPushError,
};
use slipring::{Options, Peer, Protocol, Ring, Spsc};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

for_each_kind! {
    memory_and_files:
        kill_while_blocked_loses_nothing_and_costs_one_wake
        successor_wakes_consumer_for_message_of_killed_producer
        exec_of_another_program_frees_the_seat
    ;
    all_backings:
        claim_of_killed_producer_publishes_nothing
        producer_death_ends_every_kind_of_pop
        consumer_death_ends_every_kind_of_push
        unreaped_zombie_is_reported_dead
    ;
}

const SOON: Duration = Duration::from_millis(20);

/// Pushes `count` messages, and holds a claim in which half of a message is written.
#[test]
#[ignore = "the other process of a test"]
fn role_claims() {
    if let Some(role) = support::role("role_claims") {
        call_for_kind!(role.text(3), claims(&role));
    }
}

fn claims<P: Protocol>(role: &support::Role) {
    let ring = Ring::<[u8], P>::open(role.text(0)).unwrap();
    let mut producer = ring.producer().unwrap();
    for number in 0..role.number(2) {
        producer.push(&[number as u8; 100]).unwrap();
    }
    let mut claim = producer.claim().unwrap();
    claim.write_all(&[0xee; 50]).unwrap();
    SharedWords::open(role.text(1))[0].store(1, SeqCst);
    role.wait_for_signal();
    claim.commit();
}

fn claim_of_killed_producer_publishes_nothing<P: Protocol>() {
    let (name, words) = (Name::new("ring"), Name::in_memory("words"));
    let ring = Ring::<[u8], P>::create_bytes(&name, 4, 100).unwrap();
    let shared = SharedWords::create(&words, 1);
    let mut consumer = ring.consumer().unwrap();
    for count in [0, 1, 3, 0, 2] {
        shared[0].store(0, SeqCst);
        let mut peer = start("role_claims", &[&name, &words, &count, &kind::<P>()]);
        until("the peer holds a claim", || shared[0].load(SeqCst) == 1);
        peer.kill_and_reap();
        for number in 0..count {
            assert_eq!(consumer.pop(), Ok(vec![number as u8; 100]));
        }
        let died = Disconnected::Died { pid: peer.pid() };
        assert_eq!(consumer.pop(), Err(PopError::Disconnected(died)));

        let mut successor = ring.producer().unwrap();
        successor.push(b"next").unwrap();
        assert_eq!(consumer.pop(), Ok(b"next".to_vec()));
    }
}

/// Pops `count` messages, and then holds the next one in a guard.
#[test]
#[ignore = "the other process of a test"]
fn role_reads() {
    if let Some(role) = support::role("role_reads") {
        call_for_kind!(role.text(4), reads(&role));
    }
}

fn reads<P: Protocol>(role: &support::Role) {
    let ring = Ring::<u64, P>::open(role.text(0)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let first = role.number(2);
    for number in first..first + role.number(3) {
        assert_eq!(consumer.pop(), Ok(number));
    }
    let guard = consumer.read().unwrap();
    assert_eq!(guard.get(), first + role.number(3));
    SharedWords::open(role.text(1))[0].store(1, SeqCst);
    role.wait_for_signal();
    drop(guard);
}

#[test]
fn message_in_guard_of_killed_consumer_is_redelivered_first() {
    let (name, words) = (Name::new("ring"), Name::in_memory("words"));
    let ring = Ring::<u64, Spsc>::create(&name, 8).unwrap();
    let shared = SharedWords::create(&words, 1);
    let mut producer = ring.producer().unwrap();
    let (mut pushed, mut popped) = (0, 0);
    for count in [0, 3, 7, 0, 1] {
        while producer.try_push(&pushed).is_ok() {
            pushed += 1;
        }
        assert_eq!(pushed - popped, 8, "the ring holds its capacity");
        shared[0].store(0, SeqCst);
        let mut peer = start(
            "role_reads",
            &[&name, &words, &popped, &count, &kind::<Spsc>()],
        );
        until("the peer holds a guard", || shared[0].load(SeqCst) == 1);
        peer.kill_and_reap();
        popped += count;
        // The slots of the popped messages are free, and the guarded one is not.
        for _ in 0..count {
            producer.try_push(&pushed).unwrap();
            pushed += 1;
        }
        let died = Disconnected::Died { pid: peer.pid() };
        assert_eq!(
            producer.push(&pushed),
            Err(PushError::Disconnected(died)),
            "the guarded slot is not released"
        );

        let mut successor = ring.consumer().unwrap();
        assert_eq!(
            successor.try_pop(),
            Ok(popped),
            "the guarded message is redelivered first"
        );
        popped += 1;
    }
}

/// Attaches, and holds the seat until it is killed: idle, in a blocked call, or until an exec.
#[test]
#[ignore = "the other process of a test"]
fn role_holds() {
    if let Some(role) = support::role("role_holds") {
        call_for_kind!(role.text(2), holds(&role));
    }
}

fn holds<P: Protocol>(role: &support::Role) {
    let options = Options::new().wait(ASLEEP_AT_ONCE);
    let ring = Ring::<u64, P>::open_with(role.text(0), &options).unwrap();
    match role.text(1) {
        "idle producer" => {
            let _producer = ring.producer().unwrap();
            role.wait_for_signal();
        }
        "idle consumer" => {
            let _consumer = ring.consumer().unwrap();
            role.wait_for_signal();
        }
        "blocked producer" => {
            let mut producer = ring.producer().unwrap();
            while producer.push(&7).is_ok() {}
        }
        "blocked consumer" => {
            let mut consumer = ring.consumer().unwrap();
            while consumer.pop_timeout(TIME_LIMIT).is_ok() {}
        }
        "program" => {
            let _producer = ring.producer().unwrap();
            // The alarm of the role also ends the new program.
            panic!("{}", Command::new("cat").exec());
        }
        part => panic!("unknown part {part}"),
    }
}

/// Whether the process `pid` is attached. A participant writes its pid only after it has locked its
/// seat, so that a peer may be present under the pid of its predecessor.
fn is_attached(peer: Result<Peer, slipring::error::Forked>, pid: u32) -> bool {
    peer.unwrap() == Peer::Present { pid }
}

/// Kills a peer, as soon as the calling thread sleeps unless `way` is a call that does not block.
fn kill_during_call(mut peer: support::Peer, way: &str) -> thread::JoinHandle<()> {
    let caller = thread_id();
    let blocks = way != "try";
    thread::spawn(move || {
        if blocks {
            until("the caller sleeps", || {
                support::is_asleep(std::process::id(), caller)
            });
        }
        peer.kill_and_reap();
    })
}

fn producer_death_ends_every_kind_of_pop<P: Protocol>() {
    let name = Name::new("ring");
    let options = Options::new().capacity(4).liveness_interval(SOON);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut consumer = ring.consumer().unwrap();
    for way in ["pop", "timeout", "try", "slice", "read", "iter"] {
        let peer = start("role_holds", &[&name, &"idle producer", &kind::<P>()]);
        let pid = peer.pid();
        until("the producer is attached", || {
            is_attached(consumer.peer(), pid)
        });
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));

        let died = Disconnected::Died { pid };
        let killer = kill_during_call(peer, way);
        match way {
            "pop" => assert_eq!(consumer.pop(), Err(died.into())),
            "timeout" => assert_eq!(
                consumer.pop_timeout(TIME_LIMIT),
                Err(PopTimeoutError::Disconnected(died))
            ),
            "try" => until("try_pop reports the death", || match consumer.try_pop() {
                Err(TryPopError::Empty) => false,
                other => {
                    assert_eq!(other, Err(died.into()));
                    true
                }
            }),
            "slice" => assert_eq!(consumer.pop_slice(&mut [0; 3]), Err(died.into())),
            "read" => assert_eq!(consumer.read().unwrap_err(), died.into()),
            _ => assert_eq!(consumer.iter().next(), None),
        }
        killer.join().unwrap();
        assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
    }
}

fn consumer_death_ends_every_kind_of_push<P: Protocol>() {
    let name = Name::new("ring");
    let options = Options::new().capacity(4).liveness_interval(SOON);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut producer = ring.producer().unwrap();
    while producer.try_push(&1).is_ok() {}
    for way in ["push", "timeout", "try", "slice", "claim"] {
        let peer = start("role_holds", &[&name, &"idle consumer", &kind::<P>()]);
        let pid = peer.pid();
        until("the consumer is attached", || {
            is_attached(producer.peer(), pid)
        });
        assert_eq!(producer.try_push(&2), Err(TryPushError::Full));

        let died = Disconnected::Died { pid };
        let killer = kill_during_call(peer, way);
        match way {
            "push" => assert_eq!(producer.push(&2), Err(died.into())),
            "timeout" => assert_eq!(
                producer.push_timeout(&2, TIME_LIMIT),
                Err(PushTimeoutError::Disconnected(died))
            ),
            "try" => until("try_push reports the death", || {
                match producer.try_push(&2) {
                    Err(TryPushError::Full) => false,
                    other => {
                        assert_eq!(other, Err(died.into()));
                        true
                    }
                }
            }),
            "slice" => {
                let error = producer.push_slice(&[2, 3]).unwrap_err();
                assert_eq!((error.pushed, error.reason), (0, died.into()));
            }
            _ => assert_eq!(producer.claim().unwrap_err(), died.into()),
        }
        killer.join().unwrap();
        assert_eq!(producer.len(), 4, "nothing was pushed");
    }
}

fn kill_while_blocked_loses_nothing_and_costs_one_wake<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    let page = HeaderPage::of(&name);
    for number in 0..20 {
        let mut producer = ring.producer().unwrap();
        kill_blocked::<P>(&name, "blocked consumer");
        let asleep = page.not_empty().load(SeqCst) & 1;
        assert_ne!(asleep, 0, "the bit of the dead consumer is set");
        producer.push(&number).unwrap();
        let asleep = page.not_empty().load(SeqCst) & 1;
        assert_eq!(asleep, 0, "one needless wake clears the bit");
        drop(producer);

        let mut consumer = ring.consumer().unwrap();
        kill_blocked::<P>(&name, "blocked producer");
        let asleep = page.not_full().load(SeqCst) & 1;
        assert_ne!(asleep, 0, "the bit of the dead producer is set");
        assert_eq!(consumer.pop(), Ok(number));
        let asleep = page.not_full().load(SeqCst) & 1;
        assert_eq!(asleep, 0, "one needless wake clears the bit");
        assert_eq!(consumer.pop(), Ok(7));
        assert!(
            consumer.try_pop().is_err(),
            "the third message was never pushed"
        );
    }
}

/// Runs a participant until it is blocked, and kills it.
fn kill_blocked<P: Protocol>(name: &Name, part: &str) {
    let mut peer = start("role_holds", &[name, &part, &kind::<P>()]);
    peer.wait_until_asleep();
    peer.kill_and_reap();
}

fn successor_wakes_consumer_for_message_of_killed_producer<P: Protocol>() {
    let name = Name::new("ring");
    // No liveness interval ends the sleep.
    let options = Options::new().capacity(2).liveness_interval(NEVER);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let event = HeaderPage::of(&name).not_empty();
    let thread = AtomicU32::new(0);
    thread::scope(|scope| {
        let popping = scope.spawn(|| {
            thread.store(thread_id(), SeqCst);
            consumer.pop()
        });
        until("pop sleeps", || {
            support::is_asleep(std::process::id(), thread.load(SeqCst))
        });
        fork_child(|| {
            let mut producer = Ring::<u64, P>::open(&name).unwrap().producer().unwrap();
            until("pop sleeps again after this producer has attached", || {
                support::is_asleep(nix::unistd::getppid().as_raw() as u32, thread.load(SeqCst))
            });
            // Without the bit the push wakes no consumer, as if the kill came just before the wake.
            event.fetch_and(!1, SeqCst);
            producer.push(&7).unwrap();
            support::kill_process(std::process::id());
        })
        .reap();
        let _successor = ring.producer().unwrap();
        assert_eq!(popping.join().unwrap(), Ok(7));
    });
}

fn exec_of_another_program_frees_the_seat<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    let consumer = ring.consumer().unwrap();
    let peer = start("role_holds", &[&name, &"program", &kind::<P>()]);
    let pid = peer.pid();
    until("the exec has freed the seat", || {
        consumer.peer() == Ok(Peer::Died { pid })
    });
    let runs = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(runs, "cat\n", "the process still runs");
    ring.producer().unwrap();
}

fn unreaped_zombie_is_reported_dead<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let holder = fork_child(|| {
        let ring = Ring::<u64, P>::open(&name).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push(&7).unwrap();
        std::mem::forget(producer);
    });
    holder.await_end();
    let pid = holder.pid();
    assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
    assert_eq!(consumer.pop(), Ok(7));
    let died = Disconnected::Died { pid };
    assert_eq!(consumer.pop(), Err(died.into()));
    ring.producer().unwrap().push(&8).unwrap();
    assert_eq!(consumer.pop(), Ok(8));
    assert_eq!(state_of(pid, pid), Some('Z'), "the zombie was not reaped");
}
