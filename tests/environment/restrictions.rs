//! Restrictions on a process: namespaces, limits, permissions, a hidden /proc, and peers that
//! truncate a ring's memory.

use crate::support;
use crate::support::{
    Name, SharedWords, fork_child, is_root, kill_process, mount, skip, start, until,
};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::WaitStatus;
use slipring::error::{AttachError, CreateError, Disconnected, OpenError, PopError, UnlinkError};
use slipring::spsc::Ring;
use slipring::{Options, Peer};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering::SeqCst;

const ROOT_ONLY: &str = "this test needs root";

/// Claims the producer's seat as process 1 of a new PID namespace.
#[test]
#[ignore = "the other process of a test"]
fn role_produces_in_own_pid_namespace() {
    let Some(role) = support::role("role_produces_in_own_pid_namespace") else {
        return;
    };
    let shared = SharedWords::open(role.text(1));
    unshare(CloneFlags::CLONE_NEWPID).unwrap();
    // The first child is the namespace's init process. It sees 0 as the pid of its parent.
    let child = fork_child_into_namespace(|| {
        assert_eq!(std::process::id(), 1);
        let ring = Ring::<u64>::open(role.text(0)).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push(&1).unwrap();
        until("the consumer detaches", || {
            producer.peer() == Ok(Peer::Left)
        });
        producer.push(&2).unwrap();
        until("the second consumer dies", || {
            matches!(producer.peer(), Ok(Peer::Died { .. }))
        });
        producer.push(&3).unwrap();
        until("killed", || false);
    });
    shared[0].store(u64::from(child), SeqCst);
    role.wait_for_signal();
}

/// Like `fork_child`, for a child that cannot see its parent's pid.
fn fork_child_into_namespace(body: impl FnOnce()) -> u32 {
    // SAFETY: the child runs `body` and ends, in a copy of a process with one busy thread.
    match unsafe { nix::unistd::fork() }.unwrap() {
        nix::unistd::ForkResult::Parent { child } => child.as_raw() as u32,
        nix::unistd::ForkResult::Child => {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).unwrap();
            body();
            std::process::exit(0);
        }
    }
}

#[test]
fn peer_status_is_correct_across_pid_namespaces() {
    if !is_root() {
        return skip(ROOT_ONLY);
    }
    let (name, words) = (Name::new("ring"), Name::in_memory("words"));
    let ring = Ring::<u64>::create(&name, 4).unwrap();
    let shared = SharedWords::create(&words, 1);
    let mut consumer = ring.consumer().unwrap();
    let mut peer = start("role_produces_in_own_pid_namespace", &[&name, &words]);
    assert_eq!(consumer.pop(), Ok(1));
    assert_eq!(
        consumer.peer(),
        Ok(Peer::Present { pid: 1 }),
        "the pid in its own namespace"
    );
    drop(consumer);

    until("the producer has seen the detach", || ring.len() == 1);
    let mut second = fork_child(|| {
        let mut consumer = Ring::<u64>::open(&name).unwrap().consumer().unwrap();
        assert_eq!(consumer.pop(), Ok(2));
        consumer.pop().unwrap();
    });
    until("the second consumer blocks", || {
        support::is_asleep(second.pid(), second.pid())
    });
    second.kill_and_reap();

    until("the producer has seen the death", || ring.len() == 1);
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(consumer.pop(), Ok(3));
    kill_process(u32::try_from(shared[0].load(SeqCst)).unwrap());
    let died = Disconnected::Died { pid: 1 };
    assert_eq!(consumer.pop(), Err(PopError::Disconnected(died)));
    ring.producer().unwrap();
    peer.signal();
    peer.finish();
}

/// Opens the ring, and claims the producer's seat on a signal, after the name is unlinked.
#[test]
#[ignore = "the other process of a test"]
fn role_claims_seat_on_signal() {
    let Some(role) = support::role("role_claims_seat_on_signal") else {
        return;
    };
    let ring = Ring::<u64>::open(role.text(0)).unwrap();
    SharedWords::open(role.text(1))[role.number(2) as usize].store(1, SeqCst);
    role.wait_for_signal();
    let mut producer = ring.producer().unwrap();
    producer.push(&role.number(2)).unwrap();
    role.wait_for_signal();
}

#[test]
fn unlinked_ring_keeps_peer_status_and_takeover() {
    let (name, words) = (Name::new("ring"), Name::in_memory("words"));
    let shared = SharedWords::create(&words, 2);
    let ring = Ring::<u64>::create(&name, 4).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let [mut first, mut second] =
        [0, 1].map(|index| start("role_claims_seat_on_signal", &[&name, &words, &index]));
    until("both processes have opened the ring", || {
        shared.iter().all(|word| word.load(SeqCst) == 1)
    });
    slipring::unlink(&name).unwrap();

    first.signal();
    assert_eq!(consumer.pop(), Ok(0));
    let pid = first.pid();
    assert_eq!(consumer.peer(), Ok(Peer::Present { pid }));
    let refused = ring.producer().unwrap_err();
    assert!(matches!(refused, AttachError::Taken { pid: Some(p), .. } if p == pid));
    first.kill_and_reap();
    let died = Disconnected::Died { pid };
    assert_eq!(consumer.pop(), Err(PopError::Disconnected(died)));

    second.signal();
    until("the second process's message arrives", || {
        consumer.pop() == Ok(1)
    });
    drop(consumer);
    ring.consumer().unwrap();
    second.signal();
    second.finish();
    ring.producer().unwrap();

    let other = Ring::<u64>::create(&name, 8).unwrap();
    assert_eq!(
        (ring.capacity(), other.capacity()),
        (4, 8),
        "the name belongs to a new ring"
    );
}

/// Creates rings in a `/dev/shm` of its own that holds 64 KiB.
#[test]
#[ignore = "the other process of a test"]
fn role_creates_rings_in_small_file_system() {
    if support::role("role_creates_rings_in_small_file_system").is_none() {
        return;
    }
    const SIZE: u64 = 64 << 10;
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, "");
    mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=64k");

    let create = |name: &str, capacity| Ring::<[u8; 1016]>::create(name, capacity);
    for (capacity, size) in [(64, 68 << 10), (1 << 20, (1 << 30) + 4096)] {
        match create("/large", capacity).unwrap_err() {
            CreateError::NoSpace {
                name,
                needed,
                available,
                ..
            } => {
                assert_eq!((&*name, needed), ("/large", size));
                assert!(available <= SIZE);
            }
            error => panic!("{error}"),
        }
    }
    let left = || fs::read_dir("/dev/shm").unwrap().count();
    assert_eq!(left(), 0);

    let ring = create("/fits", 32).unwrap();
    let rest = vec![0; SIZE as usize];
    fs::write("/dev/shm/rest", rest).unwrap_err();
    assert!(matches!(create("/no", 2), Err(CreateError::NoSpace { .. })));
    // create allocated every page, so that no push hits the full file system.
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    for number in 0..100_u8 {
        producer.push(&[number; 1016]).unwrap();
        if number >= 31 {
            assert_eq!(consumer.pop().unwrap()[1015], number - 31);
        }
    }
}

#[test]
fn create_on_full_file_system_returns_no_space() {
    if !is_root() {
        return skip(ROOT_ONLY);
    }
    start("role_creates_rings_in_small_file_system", &[]).finish();
}

/// Uses a ring in a mount namespace in which /proc is empty.
#[test]
#[ignore = "the other process of a test"]
fn role_uses_ring_without_proc() {
    let Some(role) = support::role("role_uses_ring_without_proc") else {
        return;
    };
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, "");
    mount("tmpfs", "/proc", "tmpfs", 0, "size=4k");
    let ring = Ring::<u64>::create(role.text(0), 4).unwrap();
    assert_eq!(Ring::<u64>::open(role.text(0)).unwrap().capacity(), 4);
    let mut producer = ring.producer().unwrap();
    producer.push(&7).unwrap();
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(consumer.pop(), Ok(7));
    assert!(matches!(consumer.peer(), Ok(Peer::Present { .. })));
    drop(producer);
    assert_eq!(consumer.peer(), Ok(Peer::Left));
    slipring::unlink(role.text(0)).unwrap();
    let refused = ring.producer().err();
    assert!(
        matches!(refused, Some(AttachError::System(_))),
        "{refused:?}"
    );
}

#[test]
fn seat_claim_without_proc_needs_the_name() {
    if !is_root() {
        return skip(ROOT_ONLY);
    }
    let name = Name::new("ring");
    start("role_uses_ring_without_proc", &[&name]).finish();
}

#[test]
fn create_above_file_size_limit_returns_error_not_signal() {
    let name = Name::new("ring");
    fork_child(|| {
        let size = 8192;
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, size, hard).unwrap();
        match Ring::<u64>::create(&name, 512).unwrap_err() {
            CreateError::FileSizeLimit { needed, limit, .. } => {
                assert_eq!((needed, limit), (12288, size));
            }
            error => panic!("{error}"),
        }
        Ring::<u64>::create(&name, 256).expect("exactly at the limit");
    })
    .finish();
}

#[test]
fn create_mode_is_exact_under_any_umask() {
    for mask in [0o777, 0o077, 0o022, 0] {
        let name = Name::new("ring");
        for mode in [None, Some(0o600), Some(0o666), Some(0o640)] {
            fork_child(|| {
                umask(Mode::from_bits_truncate(mask));
                let mut options = Options::new().capacity(2);
                if let Some(mode) = mode {
                    options = options.mode(mode);
                }
                Ring::<u64>::create_with(&name, &options).unwrap();
            })
            .finish();
            let found = fs::metadata(name.path()).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode.unwrap_or(0o600));
            slipring::unlink(&name).unwrap();
        }
    }
}

#[test]
fn exhausted_descriptors_return_system_errors() {
    let (name, other) = (Name::new("ring"), Name::new("other"));
    let ring = Ring::<u64>::create(&name, 2).unwrap();
    let mut producer = ring.producer().unwrap();
    let child = fork_child(|| {
        let ring = Ring::<u64>::open(&name).unwrap();
        let mut consumer = ring.consumer().unwrap();
        let free = Ring::<u64>::create(&other, 2).unwrap();
        slipring::unlink(&other).unwrap();
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
        let refused = Ring::<u64>::open(&name).unwrap_err();
        assert!(matches!(refused, OpenError::System(_)), "{refused}");
        let refused = Ring::<u64>::create(&other, 2).unwrap_err();
        assert!(matches!(refused, CreateError::System(_)), "{refused}");
        let refused = free.producer().unwrap_err();
        assert!(matches!(refused, AttachError::System(_)), "{refused}");
        // Attached handles open no descriptors.
        assert!(matches!(consumer.peer(), Ok(Peer::Present { .. })));
        assert_eq!(consumer.pop(), Ok(7));
        slipring::unlink(&name).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
        assert!(matches!(ring.producer(), Err(AttachError::Taken { .. })));
    });
    producer.push(&7).unwrap();
    child.finish();
}

#[test]
fn mode_controls_access_by_other_user() {
    if !is_root() {
        return skip(ROOT_ONLY);
    }
    let (closed, open) = (Name::new("closed"), Name::new("open"));
    let shared = Options::new().capacity(2).mode(0o666);
    let _closed = Ring::<u64>::create(&closed, 2).unwrap();
    let ring = Ring::<u64>::create_with(&open, &shared).unwrap();
    let mut consumer = ring.consumer().unwrap();
    fork_child(|| {
        let unprivileged = 65534;
        // SAFETY: takes a number; this process has one thread.
        assert_eq!(unsafe { libc::setgid(unprivileged) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setuid(unprivileged) }, 0);
        let refused = Ring::<u64>::open(&closed).unwrap_err();
        assert!(matches!(refused, OpenError::Permission { .. }), "{refused}");
        for name in [&closed, &open] {
            let refused = slipring::unlink(name).unwrap_err();
            assert!(
                matches!(refused, UnlinkError::Permission { .. }),
                "{refused}"
            );
        }
        let ring = Ring::<u64>::open(&open).unwrap();
        assert!(matches!(ring.consumer(), Err(AttachError::Taken { .. })));
        ring.producer().unwrap().push(&7).unwrap();
    })
    .finish();
    assert_eq!(consumer.pop(), Ok(7));
}

#[test]
fn truncated_ring_raises_sigbus_and_other_ring_works() {
    let (cut, whole) = (Name::new("cut"), Name::new("whole"));
    let large = Options::new().capacity(4096);
    let _ring = Ring::<u64>::create_with(&cut, &large).unwrap();
    let other = Ring::<u64>::create(&whole, 4).unwrap();
    let mut consumer = other.consumer().unwrap();
    let mut child = fork_child(|| {
        let cut_ring = Ring::<u64>::open(&cut).unwrap();
        let mut cut_producer = cut_ring.producer().unwrap();
        let mut producer = Ring::<u64>::open(&whole).unwrap().producer().unwrap();
        producer.push(&7).unwrap();
        let file = OpenOptions::new().write(true).open(cut.path()).unwrap();
        file.set_len(8192).unwrap();
        // Only the header and the first page of slots remain.
        for number in 0..4096 {
            cut_producer.push(&number).unwrap();
        }
    });
    let ended = child.reap();
    assert!(
        matches!(
            ended,
            WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGBUS, _)
        ),
        "{ended:?}"
    );
    let pid = child.pid();
    assert_eq!(consumer.pop(), Ok(7));
    assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
    other.producer().unwrap().push(&8).unwrap();
    assert_eq!(consumer.pop(), Ok(8));
    let refused = Ring::<u64>::open(&cut).unwrap_err();
    assert!(
        matches!(refused, OpenError::Truncated { found: 8192, .. }),
        "{refused}"
    );
}
