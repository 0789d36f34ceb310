//! The death of one process, at a chosen moment: in a claim, in a guard, asleep; and how the
//! other side hears of it.

use crate::support;
use crate::support::kinds::kind;
use crate::support::{
    Board, NEVER, Name, PATIENCE, Page, fork_child, start, state_of, thread_id, until,
};
use slipring::error::{
    Disconnected, PopError, PopTimeoutError, PushError, PushTimeoutError, TryPopError, TryPushError,
};
use slipring::{Options, Peer, Protocol, Ring, Spsc, WaitStrategy};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

for_each_kind! {
    memory_and_files:
        killed_sleepers_lose_nothing_and_leave_no_tax
        a_message_that_a_dead_producer_did_not_tell_of_is_told_by_the_next
        executing_another_program_frees_the_seat
    ;
    all_backings:
        a_claim_of_a_dead_producer_publishes_nothing
        a_producers_death_ends_every_kind_of_pop
        a_consumers_death_ends_every_kind_of_push
        an_unreaped_zombie_is_dead
    ;
}

const ASLEEP_AT_ONCE: WaitStrategy = WaitStrategy::Sleep {
    spins: 0,
    yields: 0,
};

const SOON: Duration = Duration::from_millis(20);

/// Pushes until the ring is full or `count` is reached, and holds a claim in which half a
/// message is written.
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
    Board::open(role.text(1))[0].store(1, SeqCst);
    role.is_told();
    claim.commit();
}

fn a_claim_of_a_dead_producer_publishes_nothing<P: Protocol>() {
    let (name, words) = (Name::new("ring"), Name::in_memory("board"));
    let ring = Ring::<[u8], P>::create(&name, 4, 100).unwrap();
    let board = Board::create(&words, 1);
    let mut consumer = ring.consumer().unwrap();
    for count in [0, 1, 3, 0, 2] {
        board[0].store(0, SeqCst);
        let mut peer = start("role_claims", &[&name, &words, &count, &kind::<P>()]);
        until("it claims", || board[0].load(SeqCst) == 1);
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

/// Pops `count` and then holds the next message in a guard, or in one that was forgotten.
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
    Board::open(role.text(1))[0].store(1, SeqCst);
    role.is_told();
    drop(guard);
}

#[test]
fn the_message_in_a_dead_consumers_guard_is_the_next_ones_first() {
    let (name, words) = (Name::new("ring"), Name::in_memory("board"));
    let ring = Ring::<u64, Spsc>::create(&name, 8).unwrap();
    let board = Board::create(&words, 1);
    let mut producer = ring.producer().unwrap();
    let (mut pushed, mut popped) = (0, 0);
    for count in [0, 3, 7, 0, 1] {
        while producer.try_push(&pushed).is_ok() {
            pushed += 1;
        }
        assert_eq!(pushed - popped, 8, "full, and not fuller");
        board[0].store(0, SeqCst);
        let mut peer = start(
            "role_reads",
            &[&name, &words, &popped, &count, &kind::<Spsc>()],
        );
        until("it reads", || board[0].load(SeqCst) == 1);
        peer.kill_and_reap();
        popped += count;
        // The guarded slot was not given back.
        for _ in 0..count {
            producer.try_push(&pushed).unwrap();
            pushed += 1;
        }
        let died = Disconnected::Died { pid: peer.pid() };
        assert_eq!(
            producer.push(&pushed),
            Err(PushError::Disconnected(died)),
            "the guarded slot was given back by nobody"
        );

        let mut successor = ring.consumer().unwrap();
        assert_eq!(successor.try_pop(), Ok(popped), "redelivered first");
        popped += 1;
    }
}

/// Attaches, and waits to be killed: idle, or in a blocked call.
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
            role.is_told();
        }
        "idle consumer" => {
            let _consumer = ring.consumer().unwrap();
            role.is_told();
        }
        "blocked producer" => {
            let mut producer = ring.producer().unwrap();
            while producer.push(&7).is_ok() {}
        }
        "blocked consumer" => {
            let mut consumer = ring.consumer().unwrap();
            while consumer.pop_timeout(PATIENCE).is_ok() {}
        }
        "program" => {
            let _producer = ring.producer().unwrap();
            // The watchdog's alarm goes along.
            panic!("{}", Command::new("cat").exec());
        }
        part => panic!("{part}?"),
    }
}

fn comes(peer: Result<Peer, slipring::error::Forked>, pid: u32) -> bool {
    match peer.unwrap() {
        Peer::NeverCame | Peer::Died { .. } => false,
        peer => {
            // What it says of itself comes a moment after the lock.
            peer == Peer::Present { pid }
        }
    }
}

fn a_producers_death_ends_every_kind_of_pop<P: Protocol>() {
    let name = Name::new("ring");
    let options = Options::new().capacity(4).liveness_interval(SOON);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut consumer = ring.consumer().unwrap();
    for way in ["pop", "timeout", "try", "slice", "read", "iter"] {
        let mut peer = start("role_holds", &[&name, &"idle producer", &kind::<P>()]);
        let pid = peer.pid();
        until("it comes", || comes(consumer.peer(), pid));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));

        let died = Disconnected::Died { pid };
        let this = thread_id();
        let killer = thread::spawn(move || {
            if way != "try" {
                until("the consumer sleeps", || {
                    support::is_asleep(std::process::id(), this)
                });
            }
            peer.kill_and_reap();
        });
        match way {
            "pop" => assert_eq!(consumer.pop(), Err(died.into())),
            "timeout" => assert_eq!(
                consumer.pop_timeout(PATIENCE),
                Err(PopTimeoutError::Disconnected(died))
            ),
            "try" => until("try_pop tells", || match consumer.try_pop() {
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

fn a_consumers_death_ends_every_kind_of_push<P: Protocol>() {
    let name = Name::new("ring");
    let options = Options::new().capacity(4).liveness_interval(SOON);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut producer = ring.producer().unwrap();
    while producer.try_push(&1).is_ok() {}
    for way in ["push", "timeout", "try", "slice", "claim"] {
        let mut peer = start("role_holds", &[&name, &"idle consumer", &kind::<P>()]);
        let pid = peer.pid();
        until("it comes", || comes(producer.peer(), pid));
        assert_eq!(producer.try_push(&2), Err(TryPushError::Full));

        let died = Disconnected::Died { pid };
        let this = thread_id();
        let killer = thread::spawn(move || {
            if way != "try" {
                until("the producer sleeps", || {
                    support::is_asleep(std::process::id(), this)
                });
            }
            peer.kill_and_reap();
        });
        match way {
            "push" => assert_eq!(producer.push(&2), Err(died.into())),
            "timeout" => assert_eq!(
                producer.push_timeout(&2, PATIENCE),
                Err(PushTimeoutError::Disconnected(died))
            ),
            "try" => until("try_push tells", || match producer.try_push(&2) {
                Err(TryPushError::Full) => false,
                other => {
                    assert_eq!(other, Err(died.into()));
                    true
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

fn killed_sleepers_lose_nothing_and_leave_no_tax<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    let page = Page::of(&name);
    for number in 0..20 {
        let mut producer = ring.producer().unwrap();
        let mut sleeper = start("role_holds", &[&name, &"blocked consumer", &kind::<P>()]);
        sleeper.falls_asleep();
        sleeper.kill_and_reap();
        assert_ne!(page.not_empty().load(SeqCst) & 1, 0, "it said so");
        producer.push(&number).unwrap();
        assert_eq!(page.not_empty().load(SeqCst) & 1, 0, "one needless wake");
        drop(producer);

        let mut consumer = ring.consumer().unwrap();
        let mut sleeper = start("role_holds", &[&name, &"blocked producer", &kind::<P>()]);
        sleeper.falls_asleep();
        sleeper.kill_and_reap();
        assert_ne!(page.not_full().load(SeqCst) & 1, 0, "it said so");
        assert_eq!(consumer.pop(), Ok(number));
        assert_eq!(page.not_full().load(SeqCst) & 1, 0, "one needless wake");
        assert_eq!(consumer.pop(), Ok(7));
        assert!(consumer.try_pop().is_err(), "the third was never pushed");
    }
}

fn a_message_that_a_dead_producer_did_not_tell_of_is_told_by_the_next<P: Protocol>() {
    let name = Name::new("ring");
    // No interval ends the sleep.
    let options = Options::new().capacity(2).liveness_interval(NEVER);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let event = Page::of(&name).not_empty();
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
            until("pop sleeps again, now that somebody has come", || {
                support::is_asleep(nix::unistd::getppid().as_raw() as u32, thread.load(SeqCst))
            });
            // Without the bit nobody is woken: as if it were killed just before.
            event.fetch_and(!1, SeqCst);
            producer.push(&7).unwrap();
            support::kill_process(std::process::id());
        })
        .reap();
        let _successor = ring.producer().unwrap();
        assert_eq!(popping.join().unwrap(), Ok(7));
    });
}

fn executing_another_program_frees_the_seat<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    let consumer = ring.consumer().unwrap();
    let peer = start("role_holds", &[&name, &"program", &kind::<P>()]);
    let pid = peer.pid();
    until("the program is gone", || {
        consumer.peer() == Ok(Peer::Died { pid })
    });
    let runs = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(runs, "cat\n", "the process is not");
    ring.producer().unwrap();
}

fn an_unreaped_zombie_is_dead<P: Protocol>() {
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
    assert_eq!(state_of(pid, pid), Some('Z'), "nobody reaped it meanwhile");
}
