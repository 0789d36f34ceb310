//! Waiting: time-outs are deadlines, nothing but a message or a reason ends a wait, and no
//! wake-up is lost.

use crate::support;
use crate::support::kinds::kind;
use crate::support::{Dice, NEVER, Name, PATIENCE, Page, is_asleep, start, thread_id, until};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use slipring::error::{Disconnected, PopTimeoutError, PushTimeoutError};
use slipring::{Consumer, Fences, Options, Producer, Protocol, Ring, WaitStrategy};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

for_each_kind! {
    memory_and_files:
        wake_ups_for_nothing_neither_end_nor_prolong_a_wait
    ;
    all_backings:
        signals_neither_end_nor_prolong_a_wait
        a_liveness_interval_that_ends_does_not_end_a_wait
        a_blocked_pop_sleeps_through_signals_until_the_message_comes
        no_time_at_all_returns_at_once_and_takes_what_is_there
        the_longest_time_out_is_no_overflow
        every_strategy_delivers_to_every_other_with_either_fences
        no_wake_up_is_lost_with_membarrier
        no_wake_up_is_lost_with_symmetric_fences
    ;
}

const ASLEEP_AT_ONCE: WaitStrategy = WaitStrategy::Sleep {
    spins: 0,
    yields: 0,
};

/// Rings on which a wake-up that is lost stays lost.
fn sleepy(capacity: usize) -> Options {
    let options = Options::new().capacity(capacity);
    options.liveness_interval(NEVER).wait(ASLEEP_AT_ONCE)
}

extern "C" fn do_nothing(_signal: i32) {}

/// Runs `body` while its thread gets a signal every now and then, without SA_RESTART.
fn in_a_storm_of_signals<R>(body: impl FnOnce() -> R) -> R {
    let action = SigAction::new(
        SigHandler::Handler(do_nothing),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing, which is safe in any state.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    let target = thread_id();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                let (tgkill, us) = (nix::libc::SYS_tgkill, std::process::id());
                // SAFETY: takes numbers only. The target waits for this thread's end.
                unsafe { nix::libc::syscall(tgkill, us, target, Signal::SIGUSR1 as i32) };
                thread::sleep(Duration::from_micros(500));
            }
        });
        let result = body();
        over.store(true, SeqCst);
        result
    })
}

/// Runs `body` while the sleepers on an event word are woken without a reason, with the word
/// as it is and with a new epoch.
fn woken_for_nothing<R>(word: &AtomicU32, body: impl FnOnce() -> R) -> R {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0_u32.. {
                if over.load(SeqCst) {
                    break;
                }
                if turn % 2 == 0 {
                    word.fetch_add(2, SeqCst);
                }
                let (wake, all) = (nix::libc::FUTEX_WAKE, i32::MAX);
                // SAFETY: FUTEX_WAKE uses the address as a key and accesses no memory.
                unsafe { nix::libc::syscall(nix::libc::SYS_futex, word.as_ptr(), wake, all) };
                thread::sleep(Duration::from_micros(500));
            }
        });
        let result = body();
        over.store(true, SeqCst);
        result
    })
}

/// Long enough for a hundred interruptions.
const WHILE: Duration = Duration::from_millis(100);

/// Each call that takes a time-out uses it up, no less, and ends.
fn all_time_out<P: Protocol>(full: &mut Producer<u64, P>, empty: &mut Consumer<u64, P>) {
    let lasts = |call: &mut dyn FnMut()| {
        let start = Instant::now();
        call();
        assert!(start.elapsed() >= WHILE, "{:?}", start.elapsed());
    };
    let (full_for_good, empty_for_good) = (PushTimeoutError::TimedOut, PopTimeoutError::TimedOut);
    lasts(&mut || assert_eq!(empty.pop_timeout(WHILE), Err(empty_for_good)));
    lasts(&mut || assert_eq!(empty.read_timeout(WHILE).unwrap_err(), empty_for_good));
    lasts(&mut || assert_eq!(empty.pop_timeout_into(&mut 0, WHILE), Err(empty_for_good)));
    lasts(&mut || assert_eq!(full.push_timeout(&1, WHILE), Err(full_for_good)));
    lasts(&mut || assert_eq!(full.claim_timeout(WHILE).unwrap_err(), full_for_good));
}

/// A producer of a full ring, a consumer of an empty one, and what keeps their peers present.
struct Stuck<P: Protocol> {
    full: Name,
    empty: Name,
    producer: Producer<u64, P>,
    consumer: Consumer<u64, P>,
    _others: (Consumer<u64, P>, Producer<u64, P>),
}

fn stuck<P: Protocol>(options: &Options) -> Stuck<P> {
    let (full, empty) = (Name::new("full"), Name::new("empty"));
    let full_ring = Ring::<u64, P>::create_with(&full, options).unwrap();
    let empty_ring = Ring::<u64, P>::create_with(&empty, options).unwrap();
    let mut producer = full_ring.producer().unwrap();
    while producer.try_push(&0).is_ok() {}
    Stuck {
        full,
        empty,
        producer,
        consumer: empty_ring.consumer().unwrap(),
        _others: (
            full_ring.consumer().unwrap(),
            empty_ring.producer().unwrap(),
        ),
    }
}

fn signals_neither_end_nor_prolong_a_wait<P: Protocol>() {
    for options in [sleepy(2), Options::new().capacity(2)] {
        let mut stuck = stuck::<P>(&options);
        in_a_storm_of_signals(|| all_time_out(&mut stuck.producer, &mut stuck.consumer));
    }
}

fn wake_ups_for_nothing_neither_end_nor_prolong_a_wait<P: Protocol>() {
    for options in [sleepy(2), Options::new().capacity(2)] {
        let mut stuck = stuck::<P>(&options);
        let (full, empty) = (Page::of(&stuck.full), Page::of(&stuck.empty));
        woken_for_nothing(full.not_full(), || {
            woken_for_nothing(empty.not_empty(), || {
                all_time_out(&mut stuck.producer, &mut stuck.consumer);
            });
        });
    }
}

fn a_liveness_interval_that_ends_does_not_end_a_wait<P: Protocol>() {
    let options = Options::new()
        .capacity(2)
        .wait(ASLEEP_AT_ONCE)
        .liveness_interval(Duration::from_millis(1));
    let mut stuck = stuck::<P>(&options);
    all_time_out(&mut stuck.producer, &mut stuck.consumer);
}

/// Pushes numbers from 0, each when it is told to, in the calls that wait for ever.
#[test]
#[ignore = "the other process of a test"]
fn role_pushes_when_told() {
    if let Some(role) = support::role("role_pushes_when_told") {
        call_for_kind!(role.text(1), pushes_when_told(&role));
    }
}

fn pushes_when_told<P: Protocol>(role: &support::Role) {
    let mut producer = Ring::<u64, P>::open(role.text(0))
        .unwrap()
        .producer()
        .unwrap();
    let mut number = 0_u64;
    while role.is_told() {
        producer.push(&number).unwrap();
        number += 1;
    }
}

fn a_blocked_pop_sleeps_through_signals_until_the_message_comes<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create_with(&name, &sleepy(2)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut peer = start("role_pushes_when_told", &[&name, &kind::<P>()]);
    let this = thread_id();
    thread::scope(|scope| {
        let (turn, turns) = mpsc::channel::<()>();
        let peer = &mut peer;
        scope.spawn(move || {
            while turns.recv().is_ok() {
                until("pop sleeps", || is_asleep(std::process::id(), this));
                peer.tell();
            }
        });
        in_a_storm_of_signals(|| {
            for number in 0..200 {
                turn.send(()).unwrap();
                assert_eq!(consumer.pop(), Ok(number));
            }
        });
        drop(turn);
    });
    peer.finish();
}

fn no_time_at_all_returns_at_once_and_takes_what_is_there<P: Protocol>() {
    let mut stuck = stuck::<P>(&sleepy(2));
    let none = Duration::ZERO;
    let timed_out = PopTimeoutError::TimedOut;
    assert_eq!(stuck.consumer.pop_timeout(none), Err(timed_out));
    assert_eq!(stuck.consumer.read_timeout(none).unwrap_err(), timed_out);
    let timed_out = PushTimeoutError::TimedOut;
    assert_eq!(stuck.producer.push_timeout(&1, none), Err(timed_out));
    assert_eq!(stuck.producer.claim_timeout(none).unwrap_err(), timed_out);

    let (others_consumer, others_producer) = &mut stuck._others;
    others_producer.push(&7).unwrap();
    assert_eq!(stuck.consumer.pop_timeout(none), Ok(7));
    others_consumer.pop().unwrap();
    assert_eq!(stuck.producer.push_timeout(&1, none), Ok(()));
}

fn the_longest_time_out_is_no_overflow<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create_with(&name, &sleepy(2)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut peer = start("role_pushes_when_told", &[&name, &kind::<P>()]);
    let this = thread_id();
    for (number, timeout) in [Duration::MAX, Duration::from_secs(u64::MAX / 2)]
        .into_iter()
        .enumerate()
    {
        thread::scope(|scope| {
            scope.spawn(|| {
                until("pop sleeps", || is_asleep(std::process::id(), this));
                peer.tell();
            });
            assert_eq!(consumer.pop_timeout(timeout), Ok(number as u64));
        });
    }
    peer.finish();
}

/// Sends every message back, waiting as the test says.
#[test]
#[ignore = "the other process of a test"]
fn role_echoes() {
    if let Some(role) = support::role("role_echoes") {
        call_for_kind!(role.text(3), echoes(&role));
    }
}

fn echoes<P: Protocol>(role: &support::Role) {
    let options = Options::new().wait(strategy(role.text(2)));
    let there = Ring::<u64, P>::open_with(role.text(0), &options).unwrap();
    let back = Ring::<u64, P>::open_with(role.text(1), &options).unwrap();
    let mut consumer = there.consumer().unwrap();
    let mut producer = back.producer().unwrap();
    let mut dice = Dice::new(2);
    loop {
        match consumer.pop_timeout(PATIENCE) {
            Ok(message) => {
                dice.spin(DAWDLE);
                producer.push_timeout(&message, PATIENCE).unwrap();
            }
            Err(PopTimeoutError::Disconnected(Disconnected::Left)) => break,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Moves each side's arming about, to meet the other's notifying.
const DAWDLE: Duration = Duration::from_micros(3);

const STRATEGIES: [&str; 4] = ["asleep at once", "default", "yielding", "spinning"];

fn strategy(name: &str) -> WaitStrategy {
    match name {
        "asleep at once" => ASLEEP_AT_ONCE,
        "default" => WaitStrategy::default(),
        "yielding" => WaitStrategy::Sleep {
            spins: 0,
            yields: 20,
        },
        "spinning" => WaitStrategy::Spin,
        name => panic!("{name}?"),
    }
}

/// Plays ping-pong, with `ahead` balls at once, for a while.
fn rally<P: Protocol>(fences: Fences, here: &str, there: &str, ahead: u64, time: Duration) {
    let (to, from) = (Name::new("to"), Name::new("from"));
    let options = sleepy(2).fences(fences).wait(strategy(here));
    let out = Ring::<u64, P>::create_with(&to, &options).unwrap();
    let back = Ring::<u64, P>::create_with(&from, &options).unwrap();
    let mut producer = out.producer().unwrap();
    let mut consumer = back.consumer().unwrap();
    let peer = start("role_echoes", &[&to, &from, &there, &kind::<P>()]);
    let mut dice = Dice::new(1);
    let start = Instant::now();
    let mut pushed = 0;
    let mut popped = 0;
    while start.elapsed() < time || popped < 30 {
        while pushed < popped + ahead {
            producer.push_timeout(&pushed, PATIENCE).unwrap();
            pushed += 1;
        }
        dice.spin(DAWDLE);
        assert_eq!(consumer.pop_timeout(PATIENCE), Ok(popped));
        popped += 1;
    }
    drop(producer);
    for number in popped..pushed {
        assert_eq!(consumer.pop_timeout(PATIENCE), Ok(number));
    }
    peer.finish();
}

fn slept() -> i64 {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    usage.voluntary_context_switches()
}

fn every_strategy_delivers_to_every_other_with_either_fences<P: Protocol>() {
    for fences in [Fences::Membarrier, Fences::Symmetric] {
        for here in STRATEGIES {
            for there in STRATEGIES {
                rally::<P>(fences, here, there, 1, Duration::from_millis(10));
            }
        }
    }
}

/// Sleeps and is woken for some seconds, without an interval that would end a sleep. If one
/// side never sleeps, its messages meet the other one just as that falls asleep; if both
/// sleep, each wakes the other every time.
fn sleep_and_wake<P: Protocol>(fences: Fences) {
    let before = slept();
    for ahead in [1, 2, 4] {
        let time = Duration::from_millis(600);
        rally::<P>(fences, "spinning", "asleep at once", ahead, time);
        rally::<P>(fences, "asleep at once", "asleep at once", ahead, time);
    }
    assert!(slept() - before > 1000, "it hardly slept");
}

fn no_wake_up_is_lost_with_membarrier<P: Protocol>() {
    sleep_and_wake::<P>(Fences::Membarrier);
}

fn no_wake_up_is_lost_with_symmetric_fences<P: Protocol>() {
    sleep_and_wake::<P>(Fences::Symmetric);
}
