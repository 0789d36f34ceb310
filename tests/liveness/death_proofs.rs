//! Only the kernel's release of a lock proves death: across pid namespaces, after the pid is
//! reused, and with or without a name of the ring. Recovery finishes the operations of a killed
//! participant, and takes nothing from a live one.

use crate::support::holders::Holders;
use crate::support::{
    Forked, Name, SharedWords, TIME_LIMIT, fork_child, is_root, kill_process, skip, until,
};
use nix::sched::{CloneFlags, unshare};
use slipring::Options;
use slipring::error::TryPopError;
use slipring::mpmc::{Consumer, Ring};
use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(5);
/// Long enough for a wrong recovery to happen.
const RECOVERY_TIME: Duration = Duration::from_millis(200);
const ROOT_ONLY: &str = "the test requires root";

fn ring(name: &Name) -> Ring<[u64; 1]> {
    let options = Options::new().capacity(8).liveness_interval(INTERVAL);
    Ring::create_with(name, &options).unwrap()
}

/// Checks that recovery distinguishes dead holders from live ones. A dead and a live consumer hold
/// positions 0 and 1 in guards. A dead and a live producer have claimed positions 2 and 3.
fn assert_only_dead_are_recovered(ring: &Ring<[u64; 1]>, holders: &Holders) {
    let mut consumer = ring.consumer().unwrap();
    let guard = consumer.read_timeout(TIME_LIMIT).unwrap();
    assert_eq!((guard.get(), guard.is_redelivered()), ([0], true));
    drop(guard);
    let mut producer = ring.producer().unwrap();
    producer.push(&[4]).unwrap();
    // The consumer skips the claim of the dead producer, and waits for that of the live one.
    stays_empty(&mut consumer);
    assert_eq!(ring.recover().unwrap().undecided, 0);
    let counters = ring.counters();
    assert_eq!((counters.tombstones, counters.redelivered), (1, 1));
    holders.let_go();
    assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok([3]));
    assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok([4]));
    assert_eq!(ring.counters(), counters);
}

fn stays_empty(consumer: &mut Consumer<[u64; 1]>) {
    let end = Instant::now() + RECOVERY_TIME;
    while Instant::now() < end {
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
}

/// Sets the intent of a dead process to one position, as if the process had been killed just before
/// it found that another process had claimed the position first.
fn set_intent_of(name: &Name, dead: u32, position: u64) {
    let file = name.file();
    let is_of_dead = |entry: &u64| {
        let mut pid = [0; 4];
        file.read_exact_at(&mut pid, entry + 8).unwrap();
        u32::from_le_bytes(pid) == dead
    };
    let entry = (0x400..).step_by(128).find(is_of_dead).unwrap();
    file.write_all_at(&1_u32.to_le_bytes(), entry + 0x28)
        .unwrap();
    let after = position + 1;
    file.write_all_at(&after.to_le_bytes(), entry + 0x20)
        .unwrap();
}

#[test]
fn intent_of_dead_process_leaves_claim_to_live_holder() {
    let name = Name::new("proof-late");
    let ring = ring(&name);
    push_two(&ring);
    let mut holders = Holders::new();
    let consumer = holders.guardian(&name, 0);
    let producer = holders.claimant(&name, 2);
    let run_and_reap = |attach: &dyn Fn()| {
        let mut child = fork_child(attach);
        child.reap();
        child.pid()
    };
    let open = || Ring::<[u64; 1]>::open(&name).unwrap();
    // The live consumer holds position 0, and the live producer position 2.
    let dead_consumer = run_and_reap(&|| std::mem::forget(open().consumer().unwrap()));
    set_intent_of(&name, dead_consumer, 0);
    let dead_producer = run_and_reap(&|| std::mem::forget(open().producer().unwrap()));
    set_intent_of(&name, dead_producer, 2);

    let mut other = ring.consumer().unwrap();
    assert_eq!(other.pop(), Ok([1]));
    let end = Instant::now() + RECOVERY_TIME;
    while Instant::now() < end {
        assert_eq!(other.try_pop(), Err(TryPopError::Empty));
        assert_eq!(ring.recover().unwrap().undecided, 2);
    }
    holders.let_go();
    assert_eq!(other.pop_timeout(TIME_LIMIT), Ok([2]));
    consumer.finish();
    producer.finish();
    let recovery = ring.recover().unwrap();
    assert_eq!(recovery.undecided, 0);
    let counters = ring.counters();
    assert_eq!((counters.tombstones, counters.redelivered), (0, 0));
}

/// Pushes one message for each of the two guards.
fn push_two(ring: &Ring<[u64; 1]>) {
    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[[0], [1]]).unwrap();
}

#[test]
fn ring_after_unlink_is_recovered() {
    let name = Name::new("proof-unlinked");
    let ring = ring(&name);
    push_two(&ring);
    let mut holders = Holders::new();
    let mut dead_consumer = holders.guardian(&name, 0);
    let consumer = holders.guardian(&name, 1);
    let mut dead_producer = holders.claimant(&name, 2);
    let producer = holders.claimant(&name, 3);
    slipring::unlink(&name).unwrap();
    dead_consumer.kill_and_reap();
    dead_producer.kill_and_reap();
    assert_only_dead_are_recovered(&ring, &holders);
    producer.finish();
    consumer.finish();
}

/// Makes a new pid namespace for all children that this process forks later.
fn unshare_pid_namespace() {
    unshare(CloneFlags::CLONE_NEWPID).unwrap();
}

/// As `fork_child`, for a child that cannot see the pid of its parent.
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
        unshare_pid_namespace();
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
fn dead_holders_in_other_pid_namespace_are_recovered() {
    if !is_root() {
        return skip(ROOT_ONLY);
    }
    let (name, words) = (Name::new("proof-namespace"), Name::in_memory("words"));
    let ring = ring(&name);
    push_two(&ring);
    let shared = SharedWords::create(&words, 1);
    let mut holders = Holders::new();
    // Every holder has the pid 1, because it is the first process of its own namespace.
    let in_namespace = |body: &dyn Fn()| -> Forked {
        shared[0].store(0, SeqCst);
        let outer = fork_child(|| {
            unshare_pid_namespace();
            let inner = fork_into_namespace(body);
            shared[0].store(u64::from(inner), SeqCst);
            let inner = nix::unistd::Pid::from_raw(inner as i32);
            nix::sys::wait::waitpid(inner, None).unwrap();
        });
        until("the inner process is forked", || {
            shared[0].load(SeqCst) != 0
        });
        outer
    };
    let inner = || shared[0].load(SeqCst) as u32;
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
    assert_only_dead_are_recovered(&ring, &holders);
    consumer.0.finish();
    producer.0.finish();
}

#[test]
fn process_with_reused_pid_is_not_taken_for_dead_participant() {
    if !is_root() {
        return skip(ROOT_ONLY);
    }
    let name = Name::new("proof-pid");
    let ring = ring(&name);
    push_two(&ring);
    as_init(|| {
        let mut holders = Holders::new();
        let words = Name::in_memory("words");
        let shared = SharedWords::create(&words, 1);
        let consumer = holders.guardian(&name, 0);
        let mut dead_producer = holders.claimant(&name, 2);
        let producer = holders.claimant(&name, 3);
        let dead_pid = dead_producer.pid();
        dead_producer.kill_and_reap();
        // The next process gets the same pid, and lives until the end of the test.
        fs::write("/proc/sys/kernel/ns_last_pid", (dead_pid - 1).to_string()).unwrap();
        let unrelated = fork_child(|| {
            until("the test releases this process", || {
                shared[0].load(SeqCst) == 1
            });
        });
        assert_eq!(unrelated.pid(), dead_pid);

        let ring = Ring::<[u64; 1]>::open(&name).unwrap();
        let mut other_consumer = ring.consumer().unwrap();
        assert_eq!(other_consumer.pop_timeout(TIME_LIMIT), Ok([1]));
        let mut other_producer = ring.producer().unwrap();
        other_producer.push(&[4]).unwrap();
        stays_empty(&mut other_consumer);
        assert_eq!(ring.counters().tombstones, 1);
        holders.let_go();
        assert_eq!(other_consumer.pop_timeout(TIME_LIMIT), Ok([3]));
        assert_eq!(other_consumer.pop_timeout(TIME_LIMIT), Ok([4]));
        shared[0].store(1, SeqCst);
        unrelated.finish();
        producer.finish();
        consumer.finish();
        assert_eq!(ring.counters().redelivered, 0);
    });
}
