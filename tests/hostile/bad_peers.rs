//! Processes that may open a ring and do to its object, its name, its locks and its sleepers what they please.
//! That a memfd can't be cut short, and what becomes of a ring that is, is in other files.

use crate::support;
use crate::support::kinds::{is_mpmc, one_of_each};
use crate::support::tampering;
use crate::support::{Board, Forked, Name, PATIENCE, Page, fork_child, until};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, fallocate, fcntl};
use nix::libc;
use slipring::error::{
    AttachError, Disconnected, OpenError, PopError, PopTimeoutError, PushTimeoutError, RecoverError,
};
use slipring::{Mpmc, Options, Peer, Protocol, Ring, Spsc, WaitStrategy};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

for_each_kind! {
    memory_and_files:
        who_punches_holes_into_a_ring_stops_nobody_for_good
        who_puts_something_else_under_the_name_is_nothing_to_those_who_have_the_ring
        a_lock_that_a_stranger_holds_is_a_holder_that_nobody_knows
        a_stranger_who_has_a_dead_ones_lock_keeps_it_from_being_dead
        who_recovers_for_ever_is_in_the_way_of_newcomers_only
        who_wakes_and_never_sleeps_changes_no_message_and_no_deadline
        who_sleeps_and_never_wakes_delays_by_no_more_than_an_interval
    ;
}

const SOON: Duration = Duration::from_millis(5);
const ASLEEP_AT_ONCE: WaitStrategy = WaitStrategy::Sleep {
    spins: 0,
    yields: 0,
};

/// The locks of seats begin there, in SPSC rings the producer's; before them is that of who recovers.
const SEATS: i64 = 0x400;
const RECOVERY: i64 = SEATS - 1;

fn open(name: &Name) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).open(name.path()).unwrap()
}

/// A process that does something over and over until it is killed.
fn over_and_over(mut body: impl FnMut()) -> Forked {
    fork_child(|| {
        loop {
            body();
        }
    })
}

/// The numbers from 0 to before `count`, pushed by one process and popped by this one, whatever it takes.
fn numbers_come_through<P: Protocol>(name: &Name, ring: &Ring<u64, P>, count: u64) {
    let mut consumer = ring.consumer().unwrap();
    let pusher = fork_child(|| {
        let options = Options::new().wait(ASLEEP_AT_ONCE);
        let ring = Ring::<u64, P>::open_with(name, &options).unwrap();
        let mut producer = ring.producer().unwrap();
        (0..count).for_each(|number| producer.push(&number).unwrap());
        until("everything was popped", || producer.is_empty());
    });
    for number in 0..count {
        // Until it comes, nobody is there.
        assert_eq!(consumer.pop_timeout(PATIENCE), Ok(number));
    }
    pusher.finish();
}

#[test]
fn holes_can_be_punched_into_a_sealed_ring_too() {
    let ring = Ring::<u64, Spsc>::create("memfd:", 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(&7).unwrap();
    punch(ring.descriptor().unwrap()).unwrap();
    assert!(consumer.try_pop().is_err());
    assert!(producer.try_push(&8).is_err() || producer.try_push(&8).is_err());
    drop((producer, consumer));
    assert!(ring.reopen().is_err(), "there is no header any more");
}

fn punch(object: impl AsFd) -> Result<(), Errno> {
    let keep_size = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(object, keep_size, 0, 0x2000)
}

fn who_punches_holes_into_a_ring_stops_nobody_for_good<P: Protocol>() {
    const TIMES: u32 = 300;
    const FIRST: u64 = 1 << 20;
    let (name, words) = (Name::new("punched"), Name::in_memory("board"));
    let board = Board::create(&words, 1);
    let options = tampering::options::<P>(FIRST).liveness_interval(SOON);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let file = open(&name);
    match punch(&file) {
        Ok(()) => {}
        // Not every file system can.
        Err(Errno::EOPNOTSUPP) => return support::skip("no holes can be punched there"),
        Err(error) => panic!("{error}"),
    }
    drop(ring);
    slipring::unlink(&name).unwrap();
    for _ in 0..5 {
        drop(Ring::<u64, P>::create_with(&name, &options).unwrap());
        let file = open(&name);
        let many = if is_mpmc::<P>() { 2 } else { 1 };
        let producers = (0..many).map(|_| {
            fork_child(|| {
                let ring = Ring::<u64, P>::open(&name).unwrap();
                let mut producer = ring.producer().unwrap();
                board[0].fetch_add(1, SeqCst);
                for _ in 0..TIMES {
                    use PushTimeoutError::{Corrupt, Disconnected, TimedOut};
                    let pushed = producer.push_timeout(&7, SOON);
                    assert!(
                        matches!(
                            pushed,
                            Ok(()) | Err(Corrupt(_) | Disconnected(_) | TimedOut)
                        ),
                        "{pushed:?}"
                    );
                }
            })
        });
        let consumers = (0..many).map(|_| {
            fork_child(|| {
                let ring = Ring::<u64, P>::open(&name).unwrap();
                let mut consumer = ring.consumer().unwrap();
                board[0].fetch_add(1, SeqCst);
                for _ in 0..TIMES {
                    use PopTimeoutError::{Corrupt, Disconnected, TimedOut};
                    let popped = consumer.pop_timeout(SOON);
                    assert!(
                        matches!(
                            popped,
                            Ok(0 | 7) | Err(Corrupt(_) | Disconnected(_) | TimedOut)
                        ),
                        "{popped:?}"
                    );
                }
            })
        });
        let users: Vec<_> = producers.chain(consumers).collect();
        until("all are at it", || board[0].load(SeqCst) == 2 * many);
        board[0].store(0, SeqCst);
        let _puncher = over_and_over(|| {
            punch(&file).unwrap();
        });
        users.into_iter().for_each(Forked::finish);
        punch(&file).unwrap();
        assert!(Ring::<u64, P>::open(&name).is_err(), "no header is left");
        slipring::unlink(&name).unwrap();
    }
}

fn who_puts_something_else_under_the_name_is_nothing_to_those_who_have_the_ring<P: Protocol>() {
    let (name, other) = (Name::new("replaced"), Name::new("other"));
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let draft = name.path().with_extension("draft");
    // By turns another ring, junk, and nothing.
    let _replacer = over_and_over(|| {
        drop(Ring::<u64, P>::create(&other, 8).unwrap());
        fs::rename(other.path(), name.path()).unwrap();
        fs::write(&draft, [0xa5; 5000]).unwrap();
        fs::rename(&draft, name.path()).unwrap();
        fs::remove_file(name.path()).unwrap();
    });
    let opener = fork_child(|| {
        for _ in 0..500 {
            match Ring::<u64, P>::open(&name) {
                Ok(ring) => assert!(matches!(ring.capacity(), 4 | 8)),
                Err(OpenError::NotFound { .. } | OpenError::NotARing { .. }) => {}
                // It was opened before the junk was written.
                Err(OpenError::Truncated { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    let mut next = 0;
    for _ in 0..200 {
        // Each time the ends are taken anew, and not by the name.
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        producer.push_slice(&[next, next + 1, next + 2]).unwrap();
        assert_eq!(consumer.pop(), Ok(next));
        assert_eq!(consumer.pop(), Ok(next + 1));
        assert_eq!(consumer.pop(), Ok(next + 2));
        next += 3;
    }
    opener.finish();
    drop(_replacer);
    let _ = fs::remove_file(draft);
}

/// Locks bytes of a ring's object as the holders of seats do, in a process of its own, as soon as they are
/// free; says on the board when it has.
fn stranger(name: &Name, board: &Board, start: i64, len: i64) -> Forked {
    fork_child(|| {
        let file = open(name);
        let lock = libc::flock {
            l_type: libc::F_WRLCK as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: start,
            l_len: len,
            l_pid: 0,
        };
        until("the bytes are free", || {
            fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).is_ok()
        });
        board[0].store(1, SeqCst);
        loop {
            thread::park();
        }
    })
}

fn has_the_locks(board: &Board) {
    until("it has the locks", || board[0].load(SeqCst) == 1);
}

fn a_lock_that_a_stranger_holds_is_a_holder_that_nobody_knows<P: Protocol>() {
    let (name, words) = (Name::new("locked"), Name::in_memory("board"));
    let options = one_of_each::<P>().capacity(2);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let board = Board::create(&words, 1);
    let mut stranger = stranger(&name, &board, SEATS, 2);
    has_the_locks(&board);
    for refused in [ring.producer().map(drop), ring.consumer().map(drop)] {
        match refused.unwrap_err() {
            AttachError::Taken { pid, .. } => assert_eq!(pid, None),
            // Nobody has said who it is.
            AttachError::NoSeat { holders, .. } => assert_eq!(holders, [0]),
            error => panic!("{error}"),
        }
    }
    stranger.kill_and_reap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(&7).unwrap();
    assert_eq!(consumer.pop(), Ok(7));
}

fn a_stranger_who_has_a_dead_ones_lock_keeps_it_from_being_dead<P: Protocol>() {
    let (name, words) = (Name::new("kept"), Name::in_memory("board"));
    let options = one_of_each::<P>().capacity(4).liveness_interval(SOON);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let board = Board::create(&words, 1);
    let mut consumer = ring.consumer().unwrap();
    let mut producer = fork_child(|| {
        let ring = Ring::<u64, P>::open(&name).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push(&7).unwrap();
        let _claim = producer.claim().unwrap();
        loop {
            thread::park();
        }
    });
    let pid = producer.pid();
    assert_eq!(consumer.pop(), Ok(7));
    let mut keeper = stranger(&name, &board, SEATS, 1);
    producer.kill_and_reap();
    has_the_locks(&board);
    assert_eq!(consumer.peer(), Ok(Peer::Present { pid }));
    let timed_out = Err(PopTimeoutError::TimedOut);
    assert_eq!(consumer.pop_timeout(SOON * 10), timed_out);
    assert!(matches!(
        ring.producer(),
        Err(AttachError::Taken { .. } | AttachError::NoSeat { .. })
    ));
    keeper.kill_and_reap();
    let died = Disconnected::Died { pid };
    assert_eq!(consumer.pop(), Err(PopError::Disconnected(died)));
    ring.producer().unwrap().push(&8).unwrap();
    assert_eq!(consumer.pop(), Ok(8));
}

fn who_recovers_for_ever_is_in_the_way_of_newcomers_only<P: Protocol>() {
    if !is_mpmc::<P>() {
        return;
    }
    let (name, words) = (Name::new("recovered"), Name::in_memory("board"));
    let options = Options::new().capacity(4).liveness_interval(SOON);
    let ring = Ring::<u64, Mpmc>::create_with(&name, &options).unwrap();
    let board = Board::create(&words, 1);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut stranger = stranger(&name, &board, RECOVERY, 1);
    has_the_locks(&board);
    assert!(matches!(ring.producer(), Err(AttachError::Recovering(_))));
    assert!(matches!(ring.recover(), Err(RecoverError::Recovering(_))));
    for number in 0..100 {
        producer.push(&number).unwrap();
        assert_eq!(consumer.pop(), Ok(number));
    }
    let timed_out = Err(PopTimeoutError::TimedOut);
    assert_eq!(consumer.pop_timeout(SOON), timed_out);
    stranger.kill_and_reap();
    ring.producer().unwrap();
    assert_eq!(ring.recover().unwrap(), Default::default());
}

fn futex(word: &AtomicU32, operation: i32, value: u32) {
    // SAFETY: the word is mapped for as long as the process lives, and there is no time-out.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            operation,
            value,
            ptr::null::<libc::timespec>(),
        )
    };
}

fn who_wakes_and_never_sleeps_changes_no_message_and_no_deadline<P: Protocol>() {
    let name = Name::new("woken");
    let options = Options::new().capacity(4).wait(ASLEEP_AT_ONCE);
    let options = options.liveness_interval(SOON);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let page = Page::of(&name);
    // Now by the protocol, and now by any word.
    let mut turn = 0_u32;
    let _stormers = [0, 1].map(|storm| {
        over_and_over(|| {
            for word in [page.not_empty(), page.not_full()] {
                turn = turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                match storm {
                    0 => _ = word.fetch_add(2, SeqCst),
                    _ => word.store(turn, SeqCst),
                }
                futex(word, libc::FUTEX_WAKE, i32::MAX as u32);
            }
        })
    });
    numbers_come_through(&name, &ring, 2000);
    let mut consumer = ring.consumer().unwrap();
    let _producer = ring.producer().unwrap();
    for timeout in [SOON, SOON * 10] {
        let start = Instant::now();
        assert_eq!(
            consumer.pop_timeout(timeout),
            Err(PopTimeoutError::TimedOut)
        );
        assert!(start.elapsed() >= timeout);
    }
}

fn who_sleeps_and_never_wakes_delays_by_no_more_than_an_interval<P: Protocol>() {
    const NUMBERS: u64 = 20;
    const SLEEPERS: usize = 8;
    let name = Name::new("slept-on");
    let interval = Duration::from_millis(20);
    let options = Options::new().capacity(4).wait(ASLEEP_AT_ONCE);
    let ring = Ring::<u64, P>::create_with(&name, &options.liveness_interval(interval)).unwrap();
    let page = Page::of(&name);
    // Each takes a wake-up that was for somebody else, and sleeps on.
    let sleepers = [(); SLEEPERS].map(|()| {
        over_and_over(|| {
            let word = page.not_empty();
            let armed = word.fetch_or(1, SeqCst) | 1;
            futex(word, libc::FUTEX_WAIT, armed);
        })
    });
    for sleeper in &sleepers {
        until("it sleeps", || {
            support::state_of(sleeper.pid(), sleeper.pid()) == Some('S')
        });
    }
    let start = Instant::now();
    numbers_come_through(&name, &ring, NUMBERS);
    // An interval for each number, and time for a busy machine.
    let most = interval * NUMBERS as u32 + PATIENCE / 4;
    assert!(start.elapsed() < most, "{:?}", start.elapsed());
}
