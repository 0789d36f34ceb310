//! Proof of death is the kernel's: across pid namespaces, whoever has the pid by now, and whether
//! the ring still has a name. What a killed participant had begun is finished, and what a living
//! one holds is not touched.

use crate::support::holders::Holders;
use crate::support::{
    Board, Forked, Name, PATIENCE, fork_child, is_root, kill_process, skip, until,
};
use nix::sched::{CloneFlags, unshare};
use slipring::Options;
use slipring::error::TryPopError;
use slipring::mpmc::Ring;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(5);
/// Enough for a wrong recovery to happen.
const A_WHILE: Duration = Duration::from_millis(200);
const ROOT_ONLY: &str = "only root may do what it needs";

fn ring(name: &Name) -> Ring<[u64; 1]> {
    let options = Options::new().capacity(8).liveness_interval(INTERVAL);
    Ring::create_with(name, &options).unwrap()
}

/// Checks that a dead and a living claimant, who hold the first two positions, and a dead and a
/// living guardian, who hold the two messages before them, are told apart.
fn dead_and_living_are_told_apart(ring: &Ring<[u64; 1]>, holders: &Holders) {
    let mut consumer = ring.consumer().unwrap();
    let guard = consumer.read_timeout(PATIENCE).unwrap();
    assert_eq!((guard.get(), guard.is_redelivered()), ([0], true));
    drop(guard);
    let mut producer = ring.producer().unwrap();
    producer.push(&[4]).unwrap();
    let end = Instant::now() + A_WHILE;
    while Instant::now() < end {
        // The dead claimant's place is skipped, the living one's is waited for.
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
    assert_eq!(ring.recover().unwrap().undecided, 0);
    let counters = ring.counters();
    assert_eq!((counters.tombstones, counters.redelivered), (1, 1));
    holders.let_go();
    assert_eq!(consumer.pop_timeout(PATIENCE), Ok([3]));
    assert_eq!(consumer.pop_timeout(PATIENCE), Ok([4]));
    assert_eq!(ring.counters(), counters);
}

/// Makes the entry of a dead process say that it was about to claim a position: as if it had been
/// killed just before it would have found that somebody else was first.
fn say_in_the_name_of(name: &Name, dead: u32, position: u64) {
    let file = OpenOptions::new().read(true).write(true).open(name.path());
    let file = file.unwrap();
    let is_its_own = |entry: &u64| {
        let mut pid = [0; 4];
        file.read_exact_at(&mut pid, entry + 8).unwrap();
        u32::from_le_bytes(pid) == dead
    };
    let entry = (0x400..).step_by(128).find(is_its_own).unwrap();
    file.write_all_at(&1_u32.to_le_bytes(), entry + 0x28)
        .unwrap();
    let after = position + 1;
    file.write_all_at(&after.to_le_bytes(), entry + 0x20)
        .unwrap();
}

#[test]
fn what_a_dead_participant_was_about_to_claim_stays_with_the_living_one_that_did() {
    let name = Name::new("proof-late");
    let ring = ring(&name);
    feed(&ring);
    let mut holders = Holders::new();
    let consumer = holders.guardian(&name, 0);
    let producer = holders.claimant(&name, 2);
    let die = |attach: &dyn Fn()| {
        let mut child = fork_child(attach);
        child.reap();
        child.pid()
    };
    let open = || Ring::<[u64; 1]>::open(&name).unwrap();
    // Position 0 is the guardian's, position 2 the claimant's.
    let dead_consumer = die(&|| std::mem::forget(open().consumer().unwrap()));
    say_in_the_name_of(&name, dead_consumer, 0);
    let dead_producer = die(&|| std::mem::forget(open().producer().unwrap()));
    say_in_the_name_of(&name, dead_producer, 2);

    let mut other = ring.consumer().unwrap();
    assert_eq!(other.pop(), Ok([1]));
    let end = Instant::now() + A_WHILE;
    while Instant::now() < end {
        assert_eq!(other.try_pop(), Err(TryPopError::Empty));
        assert_eq!(ring.recover().unwrap().undecided, 2);
    }
    holders.let_go();
    assert_eq!(other.pop_timeout(PATIENCE), Ok([2]));
    consumer.finish();
    producer.finish();
    let recovery = ring.recover().unwrap();
    assert_eq!(recovery.undecided, 0);
    let counters = ring.counters();
    assert_eq!((counters.tombstones, counters.redelivered), (0, 0));
}

/// Two messages for two guardians.
fn feed(ring: &Ring<[u64; 1]>) {
    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[[0], [1]]).unwrap();
}

#[test]
fn a_ring_without_a_name_is_recovered() {
    let name = Name::new("proof-unlinked");
    let ring = ring(&name);
    feed(&ring);
    let mut holders = Holders::new();
    let mut dead_consumer = holders.guardian(&name, 0);
    let consumer = holders.guardian(&name, 1);
    let mut dead_producer = holders.claimant(&name, 2);
    let producer = holders.claimant(&name, 3);
    slipring::unlink(&name).unwrap();
    dead_consumer.kill_and_reap();
    dead_producer.kill_and_reap();
    dead_and_living_are_told_apart(&ring, &holders);
    producer.finish();
    consumer.finish();
}

/// Enters a new pid namespace with all children that are forked from now on.
fn leave_for_a_namespace() {
    unshare(CloneFlags::CLONE_NEWPID).unwrap();
}

/// As `fork_child`, for a child that can't see its parent's pid.
fn fork_into_namespace(body: impl FnOnce()) -> u32 {
    // SAFETY: the child runs `body` and ends; the C library keeps its allocator usable in it.
    match unsafe { nix::unistd::fork() }.unwrap() {
        nix::unistd::ForkResult::Parent { child } => child.as_raw() as u32,
        nix::unistd::ForkResult::Child => {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).unwrap();
            body();
            std::process::exit(0);
        }
    }
}

/// Runs `body` as process 1 of a namespace, and waits for it.
fn as_init(body: impl FnOnce()) {
    fork_child(|| {
        leave_for_a_namespace();
        let init = fork_into_namespace(|| {
            assert_eq!(std::process::id(), 1);
            body();
        });
        let init = nix::unistd::Pid::from_raw(init as i32);
        let ended = nix::sys::wait::waitpid(init, None).unwrap();
        assert_eq!(ended, nix::sys::wait::WaitStatus::Exited(init, 0));
    })
    .finish();
}

#[test]
fn what_is_held_in_another_pid_namespace_is_recovered() {
    if !is_root() {
        return skip(ROOT_ONLY);
    }
    let (name, words) = (Name::new("proof-namespace"), Name::in_memory("board"));
    let ring = ring(&name);
    feed(&ring);
    let board = Board::create(&words, 1);
    let mut holders = Holders::new();
    // In the namespace all of them have the same pid: each is the first of its own.
    let in_namespace = |body: &dyn Fn()| -> Forked {
        board[0].store(0, SeqCst);
        let outer = fork_child(|| {
            leave_for_a_namespace();
            let inner = fork_into_namespace(body);
            board[0].store(u64::from(inner), SeqCst);
            let inner = nix::unistd::Pid::from_raw(inner as i32);
            nix::sys::wait::waitpid(inner, None).unwrap();
        });
        until("it is there", || board[0].load(SeqCst) != 0);
        outer
    };
    let inner = || board[0].load(SeqCst) as u32;
    let start = |holders: &mut Holders, body: &dyn Fn(&Holders)| {
        let outer = in_namespace(&|| body(holders));
        holders.await_hold();
        (outer, inner())
    };
    let dead_consumer = start(&mut holders, &|holders| holders.guard(&name, 0));
    let consumer = start(&mut holders, &|holders| holders.guard(&name, 1));
    let dead_producer = start(&mut holders, &|holders| holders.claim(&name, 2));
    let producer = start(&mut holders, &|holders| holders.claim(&name, 3));
    for (outer, inner) in [dead_consumer, dead_producer] {
        kill_process(inner);
        outer.finish();
    }
    dead_and_living_are_told_apart(&ring, &holders);
    consumer.0.finish();
    producer.0.finish();
}

#[test]
fn who_got_the_pid_of_a_dead_participant_does_not_stand_in_for_it() {
    if !is_root() {
        return skip(ROOT_ONLY);
    }
    let name = Name::new("proof-pid");
    let ring = ring(&name);
    feed(&ring);
    as_init(|| {
        let mut holders = Holders::new();
        let words = Name::in_memory("board");
        let board = Board::create(&words, 1);
        let consumer = holders.guardian(&name, 0);
        let mut dead_producer = holders.claimant(&name, 2);
        let producer = holders.claimant(&name, 3);
        let dead_pid = dead_producer.pid();
        dead_producer.kill_and_reap();
        // Whoever comes next gets the same pid again, and stays.
        fs::write("/proc/sys/kernel/ns_last_pid", (dead_pid - 1).to_string()).unwrap();
        let namesake = fork_child(|| until("it may go", || board[0].load(SeqCst) == 1));
        assert_eq!(namesake.pid(), dead_pid);

        let ring = Ring::<[u64; 1]>::open(&name).unwrap();
        let mut taker = ring.consumer().unwrap();
        assert_eq!(taker.pop_timeout(PATIENCE), Ok([1]));
        let mut pusher = ring.producer().unwrap();
        pusher.push(&[4]).unwrap();
        let end = Instant::now() + A_WHILE;
        while Instant::now() < end {
            assert_eq!(taker.try_pop(), Err(TryPopError::Empty));
        }
        assert_eq!(ring.counters().tombstones, 1);
        holders.let_go();
        assert_eq!(taker.pop_timeout(PATIENCE), Ok([3]));
        assert_eq!(taker.pop_timeout(PATIENCE), Ok([4]));
        board[0].store(1, SeqCst);
        namesake.finish();
        producer.finish();
        consumer.finish();
        assert_eq!(ring.counters().redelivered, 0);
    });
}
