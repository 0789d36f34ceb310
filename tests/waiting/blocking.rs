//! Blocking calls. Time-outs are deadlines, only a message or an error ends a wait, and no wake-up
//! is lost.

use crate::support;
use crate::support::kinds::kind;
use crate::support::{
    ASLEEP_AT_ONCE, HeaderPage, NEVER, Name, Random, TIME_LIMIT, is_asleep, start, thread_id, until,
};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use slipring::error::{Disconnected, PopTimeoutError, PushTimeoutError};
use slipring::{Consumer, Fences, Options, Producer, Protocol, Ring, WaitStrategy};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

for_each_kind! {
    memory_and_files:
        spurious_wake_ups_neither_end_nor_prolong_a_wait
    ;
    all_backings:
        signals_neither_end_nor_prolong_a_wait
        elapsed_liveness_interval_does_not_end_a_wait
        blocked_pop_sleeps_through_signals_until_message
        zero_timeout_returns_at_once_and_takes_available
        longest_timeout_does_not_overflow
        every_strategy_pair_delivers_with_either_fences
        sleepers_with_membarrier_lose_no_wake_up
        sleepers_with_symmetric_fences_lose_no_wake_up
    ;
}

/// Options for a ring in which no liveness check repairs a lost wake-up.
fn asleep_until_woken(capacity: usize) -> Options {
    let options = Options::new().capacity(capacity);
    options.liveness_interval(NEVER).wait(ASLEEP_AT_ONCE)
}

extern "C" fn do_nothing(_signal: i32) {}

/// Runs `body` while its thread receives frequent signals. Their handler has no SA_RESTART.
fn with_frequent_signals<R>(body: impl FnOnce() -> R) -> R {
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
                // SAFETY: the call takes numbers only. The target joins this thread, so it still
                // exists.
                unsafe { nix::libc::syscall(tgkill, us, target, Signal::SIGUSR1 as i32) };
                thread::sleep(Duration::from_micros(500));
            }
        });
        let result = body();
        over.store(true, SeqCst);
        result
    })
}

/// Runs `body` while another thread wakes the sleepers on an event word without a reason: in turn
/// with the word unchanged and with a new epoch.
fn with_spurious_wakes<R>(word: &AtomicU32, body: impl FnOnce() -> R) -> R {
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

/// Long enough for many interruptions.
const TIMEOUT: Duration = Duration::from_millis(50);

/// Checks that each call with a time-out returns, and not before the time-out has elapsed.
fn assert_all_time_out<P: Protocol>(full: &mut Producer<u64, P>, empty: &mut Consumer<u64, P>) {
    let assert_duration = |call: &mut dyn FnMut()| {
        let start = Instant::now();
        call();
        assert!(start.elapsed() >= TIMEOUT, "{:?}", start.elapsed());
    };
    let (still_full, still_empty) = (PushTimeoutError::TimedOut, PopTimeoutError::TimedOut);
    assert_duration(&mut || assert_eq!(empty.pop_timeout(TIMEOUT), Err(still_empty)));
    assert_duration(&mut || assert_eq!(empty.read_timeout(TIMEOUT).unwrap_err(), still_empty));
    assert_duration(&mut || assert_eq!(empty.pop_timeout_into(&mut 0, TIMEOUT), Err(still_empty)));
    assert_duration(&mut || assert_eq!(full.push_timeout(&1, TIMEOUT), Err(still_full)));
    assert_duration(&mut || assert_eq!(full.claim_timeout(TIMEOUT).unwrap_err(), still_full));
    let (mut room, mut vec) = ([0; 2], Vec::new());
    assert_duration(&mut || {
        let refused = empty.pop_slice_timeout(&mut room, TIMEOUT);
        assert_eq!(refused, Err(still_empty));
    });
    assert_duration(&mut || {
        let refused = empty.pop_append_timeout(&mut vec, 2, TIMEOUT);
        assert_eq!(refused, Err(still_empty));
    });
    assert_duration(&mut || {
        let refused = empty.read_chunk_timeout(2, TIMEOUT).unwrap_err();
        assert_eq!(refused, still_empty);
    });
    assert_duration(&mut || {
        let refused = full.push_slice_timeout(&[1, 2], TIMEOUT).unwrap_err();
        assert_eq!((refused.pushed, refused.reason), (0, still_full));
    });
    assert_duration(&mut || {
        let refused = full.claim_chunk_timeout(2, TIMEOUT).unwrap_err();
        assert_eq!(refused, still_full);
    });
}

/// Checks that each call with a deadline returns, and not before the deadline.
fn assert_all_reach_deadline<P: Protocol>(
    full: &mut Producer<u64, P>,
    empty: &mut Consumer<u64, P>,
) {
    let assert_reached = |call: &mut dyn FnMut(Instant)| {
        let deadline = Instant::now() + TIMEOUT;
        call(deadline);
        assert!(Instant::now() >= deadline);
    };
    let (still_full, still_empty) = (PushTimeoutError::TimedOut, PopTimeoutError::TimedOut);
    assert_reached(&mut |at| assert_eq!(empty.pop_deadline(at), Err(still_empty)));
    assert_reached(&mut |at| assert_eq!(empty.read_deadline(at).unwrap_err(), still_empty));
    assert_reached(&mut |at| assert_eq!(empty.pop_deadline_into(&mut 0, at), Err(still_empty)));
    let (mut room, mut vec) = ([0; 2], Vec::new());
    assert_reached(&mut |at| {
        assert_eq!(empty.pop_slice_deadline(&mut room, at), Err(still_empty));
    });
    assert_reached(&mut |at| {
        let refused = empty.pop_append_deadline(&mut vec, 2, at);
        assert_eq!(refused, Err(still_empty));
    });
    assert_reached(&mut |at| assert_eq!(full.push_deadline(&1, at), Err(still_full)));
    assert_reached(&mut |at| assert_eq!(full.claim_deadline(at).unwrap_err(), still_full));
    assert_reached(&mut |at| {
        let refused = full.push_slice_deadline(&[1, 2], at).unwrap_err();
        assert_eq!((refused.pushed, refused.reason), (0, still_full));
    });
}

/// A producer of a full ring, a consumer of an empty ring, and their attached peers.
struct Blocked<P: Protocol> {
    full: Name,
    empty: Name,
    producer: Producer<u64, P>,
    consumer: Consumer<u64, P>,
    peers: (Consumer<u64, P>, Producer<u64, P>),
}

fn blocked<P: Protocol>(options: &Options) -> Blocked<P> {
    let (full, empty) = (Name::new("full"), Name::new("empty"));
    let full_ring = Ring::<u64, P>::create_with(&full, options).unwrap();
    let empty_ring = Ring::<u64, P>::create_with(&empty, options).unwrap();
    let mut producer = full_ring.producer().unwrap();
    while producer.try_push(&0).is_ok() {}
    Blocked {
        full,
        empty,
        producer,
        consumer: empty_ring.consumer().unwrap(),
        peers: (
            full_ring.consumer().unwrap(),
            empty_ring.producer().unwrap(),
        ),
    }
}

fn signals_neither_end_nor_prolong_a_wait<P: Protocol>() {
    for options in [asleep_until_woken(2), Options::new().capacity(2)] {
        let mut blocked = blocked::<P>(&options);
        with_frequent_signals(|| {
            assert_all_time_out(&mut blocked.producer, &mut blocked.consumer);
            assert_all_reach_deadline(&mut blocked.producer, &mut blocked.consumer);
        });
    }
}

fn spurious_wake_ups_neither_end_nor_prolong_a_wait<P: Protocol>() {
    for options in [asleep_until_woken(2), Options::new().capacity(2)] {
        let mut blocked = blocked::<P>(&options);
        let (full, empty) = (
            HeaderPage::of(&blocked.full),
            HeaderPage::of(&blocked.empty),
        );
        with_spurious_wakes(full.not_full(), || {
            with_spurious_wakes(empty.not_empty(), || {
                assert_all_time_out(&mut blocked.producer, &mut blocked.consumer);
                assert_all_reach_deadline(&mut blocked.producer, &mut blocked.consumer);
            });
        });
    }
}

fn elapsed_liveness_interval_does_not_end_a_wait<P: Protocol>() {
    let options = Options::new()
        .capacity(2)
        .wait(ASLEEP_AT_ONCE)
        .liveness_interval(Duration::from_millis(1));
    let mut blocked = blocked::<P>(&options);
    assert_all_time_out(&mut blocked.producer, &mut blocked.consumer);
    assert_all_reach_deadline(&mut blocked.producer, &mut blocked.consumer);
}

/// Pushes one number for each request of the test, from 0, with the call that has no time-out.
#[test]
#[ignore = "the other process of a test"]
fn role_pushes_on_signal() {
    if let Some(role) = support::role("role_pushes_on_signal") {
        call_for_kind!(role.text(1), push_on_request(&role));
    }
}

fn push_on_request<P: Protocol>(role: &support::Role) {
    let mut producer = Ring::<u64, P>::open(role.text(0))
        .unwrap()
        .producer()
        .unwrap();
    let mut number = 0_u64;
    while role.wait_for_signal() {
        producer.push(&number).unwrap();
        number += 1;
    }
}

fn blocked_pop_sleeps_through_signals_until_message<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create_with(&name, &asleep_until_woken(2)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut peer = start("role_pushes_on_signal", &[&name, &kind::<P>()]);
    let this = thread_id();
    thread::scope(|scope| {
        let (request, requests) = mpsc::channel::<()>();
        let peer = &mut peer;
        scope.spawn(move || {
            while requests.recv().is_ok() {
                until("pop sleeps", || is_asleep(std::process::id(), this));
                peer.signal();
            }
        });
        with_frequent_signals(|| {
            for number in 0..200 {
                request.send(()).unwrap();
                assert_eq!(consumer.pop(), Ok(number));
            }
        });
        drop(request);
    });
    peer.finish();
}

fn zero_timeout_returns_at_once_and_takes_available<P: Protocol>() {
    let mut blocked = blocked::<P>(&asleep_until_woken(2));
    let zero = Duration::ZERO;
    let timed_out = PopTimeoutError::TimedOut;
    assert_eq!(blocked.consumer.pop_timeout(zero), Err(timed_out));
    assert_eq!(blocked.consumer.read_timeout(zero).unwrap_err(), timed_out);
    let timed_out = PushTimeoutError::TimedOut;
    assert_eq!(blocked.producer.push_timeout(&1, zero), Err(timed_out));
    assert_eq!(blocked.producer.claim_timeout(zero).unwrap_err(), timed_out);

    let (peer_consumer, peer_producer) = &mut blocked.peers;
    peer_producer.push(&7).unwrap();
    assert_eq!(blocked.consumer.pop_timeout(zero), Ok(7));
    peer_consumer.pop().unwrap();
    assert_eq!(blocked.producer.push_timeout(&1, zero), Ok(()));
}

fn longest_timeout_does_not_overflow<P: Protocol>() {
    let name = Name::new("ring");
    let ring = Ring::<u64, P>::create_with(&name, &asleep_until_woken(2)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut peer = start("role_pushes_on_signal", &[&name, &kind::<P>()]);
    let this = thread_id();
    for (number, timeout) in [Duration::MAX, Duration::from_secs(u64::MAX / 2)]
        .into_iter()
        .enumerate()
    {
        thread::scope(|scope| {
            scope.spawn(|| {
                until("pop sleeps", || is_asleep(std::process::id(), this));
                peer.signal();
            });
            assert_eq!(consumer.pop_timeout(timeout), Ok(number as u64));
        });
    }
    peer.finish();
}

/// Sends every message back, with the wait strategy that the test names.
#[test]
#[ignore = "the other process of a test"]
fn role_echoes() {
    if let Some(role) = support::role("role_echoes") {
        call_for_kind!(role.text(3), echo(&role));
    }
}

fn echo<P: Protocol>(role: &support::Role) {
    let options = Options::new().wait(strategy(role.text(2)));
    let requests = Ring::<u64, P>::open_with(role.text(0), &options).unwrap();
    let replies = Ring::<u64, P>::open_with(role.text(1), &options).unwrap();
    let mut consumer = requests.consumer().unwrap();
    let mut producer = replies.producer().unwrap();
    let mut random = Random::new(2);
    loop {
        match consumer.pop_timeout(TIME_LIMIT) {
            Ok(message) => {
                random.spin(MAX_DELAY);
                producer.push_timeout(&message, TIME_LIMIT).unwrap();
            }
            Err(PopTimeoutError::Disconnected(Disconnected::Left)) => break,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The longest random delay of each side. It varies the time at which one side arms its event word
/// relative to the notify of the other side.
const MAX_DELAY: Duration = Duration::from_micros(3);

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
        name => panic!("wait strategy: found {name}"),
    }
}

/// Exchanges messages with an echoing peer for `time`, with at most `ahead` messages in flight.
fn ping_pong<P: Protocol>(fences: Fences, here: &str, there: &str, ahead: u64, time: Duration) {
    let (to, from) = (Name::new("to"), Name::new("from"));
    let options = asleep_until_woken(2).fences(fences).wait(strategy(here));
    let requests = Ring::<u64, P>::create_with(&to, &options).unwrap();
    let replies = Ring::<u64, P>::create_with(&from, &options).unwrap();
    let mut producer = requests.producer().unwrap();
    let mut consumer = replies.consumer().unwrap();
    let peer = start("role_echoes", &[&to, &from, &there, &kind::<P>()]);
    let mut random = Random::new(1);
    let start = Instant::now();
    let mut pushed = 0;
    let mut popped = 0;
    while start.elapsed() < time || popped < 30 {
        while pushed < popped + ahead {
            producer.push_timeout(&pushed, TIME_LIMIT).unwrap();
            pushed += 1;
        }
        random.spin(MAX_DELAY);
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(popped));
        popped += 1;
    }
    drop(producer);
    for number in popped..pushed {
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(number));
    }
    peer.finish();
}

/// The number of times that this thread has blocked.
fn sleep_count() -> i64 {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    usage.voluntary_context_switches()
}

fn every_strategy_pair_delivers_with_either_fences<P: Protocol>() {
    for fences in [Fences::Membarrier, Fences::Symmetric] {
        for here in STRATEGIES {
            for there in STRATEGIES {
                ping_pong::<P>(fences, here, there, 1, Duration::from_millis(10));
            }
        }
    }
}

/// Sleeps and is woken for some seconds, without a liveness interval that would end a sleep.
///
/// If one side never sleeps, its notify meets the other side just as that side falls asleep. If
/// both sides sleep, each wakes the other for every message.
fn sleep_and_wake<P: Protocol>(fences: Fences) {
    let before = sleep_count();
    for ahead in [1, 2, 4] {
        let time = Duration::from_millis(600);
        ping_pong::<P>(fences, "spinning", "asleep at once", ahead, time);
        ping_pong::<P>(fences, "asleep at once", "asleep at once", ahead, time);
    }
    let sleeps = sleep_count() - before;
    assert!(
        sleeps > 1000,
        "sleeps: found {sleeps}, expected more than 1000"
    );
}

fn sleepers_with_membarrier_lose_no_wake_up<P: Protocol>() {
    sleep_and_wake::<P>(Fences::Membarrier);
}

fn sleepers_with_symmetric_fences_lose_no_wake_up<P: Protocol>() {
    sleep_and_wake::<P>(Fences::Symmetric);
}
