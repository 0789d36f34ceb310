//! Processes under isolation and resource limits: user and mount namespaces, limits of address
//! space and of descriptors, other users, and much resident memory. Each operation either works or
//! returns a specific error.

use crate::support::kinds::one_of_each;
use crate::support::resources::Resources;
use crate::support::{
    Name, SharedWords, TIME_LIMIT, fork_child, is_root, kill_process, mount, skip, state_of, until,
};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::wait::WaitStatus;
use slipring::error::{
    AttachError, CreateError, Disconnected, MapError, OpenError, PopTimeoutError, SystemError,
    UnlinkError,
};
use slipring::{Mpmc, Observer, Options, Peer, Protocol, Ring};
use std::fs;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const ROOT_ONLY: &str = "this test needs root";

for_each_kind! {
    peer_status_is_correct_across_user_namespaces
    mount_namespaces_with_same_file_system_share_ring
    map_above_address_space_limit_fails_and_leaves_nothing
    any_descriptor_limit_gives_success_or_system_error
    read_only_user_can_observe_but_not_open
}

/// The exit status of a child that finds the tested feature unavailable.
const UNSUPPORTED: i32 = 77;

fn exit_with(status: i32) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(status) }
}

/// Runs `body` in a child. Skips the test if the child exits with `UNSUPPORTED`.
fn in_child(why_not: &str, body: impl FnOnce()) {
    match fork_child(body).reap() {
        WaitStatus::Exited(_, 0) => {}
        WaitStatus::Exited(_, UNSUPPORTED) => skip(why_not),
        ended => panic!("{ended:?}"),
    }
}

fn peer_status_is_correct_across_user_namespaces<P: Protocol>() {
    let (name, words) = (Name::new("user"), Name::in_memory("words"));
    let shared = SharedWords::create(&words, 2);
    let ring = Ring::<u64, P>::create_with(&name, &one_of_each::<P>().capacity(4)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let child = fork_child(|| {
        // The new namespace maps no user IDs, so the ring's owner has no known ID in it.
        if unshare(CloneFlags::CLONE_NEWUSER).is_err() {
            exit_with(UNSUPPORTED);
        }
        let ring = Ring::<u64, P>::open(&name).unwrap();
        let refused = ring.consumer().err();
        assert!(matches!(
            refused,
            Some(AttachError::Taken { .. } | AttachError::NoSeat { .. })
        ));
        let mut producer = ring.producer().unwrap();
        producer.push(&1).unwrap();
        let mut claim = producer.claim().unwrap();
        claim.write(&2);
        shared[0].store(1, SeqCst);
        until("killed", || false);
    });
    until("the child has pushed, or has exited", || {
        shared[0].load(SeqCst) == 1 || state_of(child.pid(), child.pid()) == Some('Z')
    });
    let pid = child.pid();
    let mut child = child;
    if shared[0].load(SeqCst) == 0 {
        assert!(matches!(child.reap(), WaitStatus::Exited(_, UNSUPPORTED)));
        return skip("user namespaces are not available");
    }
    assert_eq!(consumer.pop(), Ok(1));
    assert_eq!(consumer.peer(), Ok(Peer::Present { pid }));
    child.kill_and_reap();
    let died = Disconnected::Died { pid };
    assert_eq!(
        consumer.pop_timeout(TIME_LIMIT),
        Err(PopTimeoutError::Disconnected(died))
    );

    // The reverse: the ring is created in the other namespace and used in this one.
    let made = Name::new("made");
    in_child("user namespaces are not available", || {
        if unshare(CloneFlags::CLONE_NEWUSER).is_err() {
            exit_with(UNSUPPORTED);
        }
        let ring = Ring::<u64, P>::create_with(&made, &one_of_each::<P>().capacity(4)).unwrap();
        ring.producer().unwrap().push(&3).unwrap();
    });
    let ring = Ring::<u64, P>::open(&made).unwrap();
    assert_eq!(ring.consumer().unwrap().pop(), Ok(3));
    slipring::unlink(&made).unwrap();
}

fn mount_namespaces_with_same_file_system_share_ring<P: Protocol>() {
    if !is_root() {
        return skip(ROOT_ONLY);
    }
    const NAME: &str = "/slipring-test-shared";
    let words = Name::in_memory("words");
    let shared = SharedWords::create(&words, 2);
    fork_child(|| {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, "");
        mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1m");
        let ring = Ring::<u64, P>::create_with(NAME, &one_of_each::<P>().capacity(4)).unwrap();
        let mut consumer = ring.consumer().unwrap();

        // The child mounts the same file system again, at another path and with other flags.
        let mut child = fork_child(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount("/dev/shm", "/mnt", "", libc::MS_BIND, "");
            mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=64k");
            let refused = Ring::<u64, P>::open(NAME).unwrap_err();
            assert!(matches!(refused, OpenError::NotFound { .. }), "{refused}");
            mount("/mnt", "/dev/shm", "", libc::MS_BIND, "");
            let restricted = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_NOSUID | libc::MS_NOEXEC;
            mount("none", "/dev/shm", "", restricted, "");
            let ring = Ring::<u64, P>::open(NAME).unwrap();
            assert!(
                ring.consumer().is_err(),
                "the consumer's seat is held in the other namespace"
            );
            let mut producer = ring.producer().unwrap();
            producer.push(&1).unwrap();
            until("the consumer detaches", || {
                producer.peer() == Ok(Peer::Left)
            });
            producer.push(&2).unwrap();
            shared[0].store(1, SeqCst);
            until("killed", || false);
        });
        assert_eq!(consumer.pop(), Ok(1));
        let pid = child.pid();
        assert_eq!(consumer.peer(), Ok(Peer::Present { pid }));
        drop(consumer);
        until("the child has seen the detach", || {
            shared[0].load(SeqCst) == 1
        });
        let mut consumer = ring.consumer().unwrap();
        child.kill_and_reap();
        assert_eq!(consumer.pop(), Ok(2));
        assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
        ring.producer().unwrap().push(&3).unwrap();
        assert_eq!(consumer.pop(), Ok(3));
        slipring::unlink(NAME).unwrap();
    })
    .finish();
}

/// The size of all mappings of this process, in bytes.
fn mapped() -> u64 {
    let sizes = fs::read_to_string("/proc/self/statm").unwrap();
    sizes.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096
}

fn is_no_memory(error: &SystemError) -> bool {
    error.call == "mmap" && error.source.raw_os_error() == Some(libc::ENOMEM)
}

fn map_above_address_space_limit_fails_and_leaves_nothing<P: Protocol>() {
    const LARGE: u64 = 64 << 20;
    let (large, small, never) = (Name::new("large"), Name::new("small"), Name::new("never"));
    let of_size = |bytes: u64| one_of_each::<P>().capacity(bytes as usize / 1024);
    let create = |name: &str, options: &Options| Ring::<[u8; 1016], P>::create_with(name, options);
    drop(create(&large, &of_size(LARGE)).unwrap());
    let attached = create(&small, &of_size(64 << 10)).unwrap();
    let mut producer = attached.producer().unwrap();
    producer.push(&[7; 1016]).unwrap();
    fork_child(|| {
        let ring = Ring::<[u8; 1016], P>::open(&small).unwrap();
        let mut consumer = ring.consumer().unwrap();
        let before = Resources::now();
        let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
        setrlimit(Resource::RLIMIT_AS, mapped() + (8 << 20), hard).unwrap();
        match Ring::<[u8; 1016], P>::open(&large) {
            Err(OpenError::Map(MapError::System(error))) => {
                assert!(is_no_memory(&error), "{error}")
            }
            other => panic!("{other:?}"),
        }
        match create(&never, &of_size(LARGE)) {
            Err(CreateError::Map(MapError::System(error))) => {
                assert!(is_no_memory(&error), "{error}")
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(Resources::now(), before);
        // A ring that fits can still be opened, and attached handles need no new mappings.
        drop(Ring::<[u8; 1016], P>::open(&small).unwrap());
        setrlimit(Resource::RLIMIT_AS, 1 << 20, hard).unwrap();
        assert_eq!(consumer.pop().unwrap()[1015], 7);
        let refused = ring.producer().err();
        assert!(refused.is_some());
        setrlimit(Resource::RLIMIT_AS, hard, hard).unwrap();
    })
    .finish();
    assert!(!never.path().exists());
    assert!(
        attached.consumer().is_ok(),
        "the consumer detached in the child"
    );
}

fn any_descriptor_limit_gives_success_or_system_error<P: Protocol>() {
    let (name, other) = (Name::new("ring"), Name::new("other"));
    let options = one_of_each::<P>().capacity(2);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut worked = 0;
    const LIMITS: u64 = 12;
    for limit in 0..LIMITS {
        let ended = fork_child(|| {
            // With all descriptors closed, the limit equals the number that the calls may open.
            // SAFETY: closes descriptors of this process, which does not use them afterwards.
            unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) };
            let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
            setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
            exit_with(match make_all_calls::<P>(&name, &other) {
                Ok(()) => 0,
                Err(_) => UNSUPPORTED,
            });
        })
        .reap();
        match ended {
            WaitStatus::Exited(_, 0) => worked += 1,
            WaitStatus::Exited(_, UNSUPPORTED) => {
                assert_eq!(worked, 0, "a limit of {limit} failed, a lower one worked")
            }
            ended => panic!("{limit}: {ended:?}"),
        }
        assert!(!other.path().exists(), "{limit}");
        drop((ring.producer().unwrap(), ring.consumer().unwrap()));
    }
    assert!((1..LIMITS).contains(&worked), "{worked}");
}

/// Makes every call that opens descriptors. Returns the kernel's error if one is refused.
fn make_all_calls<P: Protocol>(name: &str, other: &str) -> Result<(), SystemError> {
    let ring = Ring::<u64, P>::open(name).map_err(|error| match error {
        OpenError::System(error) => error,
        error => panic!("{error}"),
    })?;
    let refused = |error| match error {
        AttachError::System(error) => error,
        error => panic!("{error}"),
    };
    let mut producer = ring.producer().map_err(refused)?;
    let mut consumer = ring.consumer().map_err(refused)?;
    producer.push(&1).unwrap();
    assert_eq!(consumer.pop(), Ok(1));
    drop((producer, consumer));
    let made = Ring::<u64, P>::create(other, 2).map_err(|error| match error {
        CreateError::System(error) => error,
        error => panic!("{error}"),
    })?;
    slipring::unlink(other).unwrap();
    drop(made);
    Ok(())
}

fn read_only_user_can_observe_but_not_open<P: Protocol>() {
    if !is_root() {
        return skip(ROOT_ONLY);
    }
    let name = Name::new("read-only");
    let options = one_of_each::<P>().capacity(4).mode(0o644);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[1, 2, 3]).unwrap();
    fork_child(|| {
        let unprivileged = 65534;
        // SAFETY: takes a number; this process has one thread.
        assert_eq!(unsafe { libc::setgid(unprivileged) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setuid(unprivileged) }, 0);
        let refused = Ring::<u64, P>::open(&name).unwrap_err();
        assert!(matches!(refused, OpenError::Permission { .. }), "{refused}");
        let refused = slipring::recover(&name).unwrap_err();
        assert!(refused.to_string().contains("no permission"), "{refused}");
        let refused = slipring::unlink(&name).unwrap_err();
        assert!(
            matches!(refused, UnlinkError::Permission { .. }),
            "{refused}"
        );
        let snapshot = Observer::open(&name).unwrap().snapshot().unwrap();
        assert_eq!((snapshot.len(), snapshot.alive()), (3, 1));
    })
    .finish();
    assert_eq!(ring.consumer().unwrap().try_iter().count(), 3);
}

/// The kernel releases a seat lock only after it has freed the address space of the dead process,
/// which takes longer the larger the process was. Until then the seat stays held. Afterwards the
/// seat is free, and recovery finishes the open claim.
#[test]
fn seat_of_large_killed_process_is_held_until_memory_freed() {
    const RESIDENT: usize = 2 << 30;
    let info = fs::read_to_string("/proc/meminfo").unwrap();
    let available = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let available = available.unwrap().trim().split(' ').next().unwrap();
    if available.parse::<usize>().unwrap() < 3 * (RESIDENT >> 10) {
        return skip("the machine has too little available memory");
    }
    let (name, words) = (Name::new("large"), Name::in_memory("words"));
    let shared = SharedWords::create(&words, 1);
    let options = Options::new().capacity(4).producers(1).consumers(1);
    let options = options.liveness_interval(Duration::from_millis(5));
    let ring = Ring::<u64, Mpmc>::create_with(&name, &options).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut victim = fork_child(|| {
        let len = NonZeroUsize::new(RESIDENT).unwrap();
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let memory = unsafe { mmap_anonymous(None, len, access, MapFlags::MAP_PRIVATE) }.unwrap();
        // Small pages take the kernel longest to free. A kernel without huge pages refuses this
        // advice, which changes nothing.
        // SAFETY: only this function uses the memory.
        let _ = unsafe { madvise(memory, RESIDENT, MmapAdvise::MADV_NOHUGEPAGE) };
        for page in (0..RESIDENT).step_by(4096) {
            // SAFETY: within the mapping.
            let page = unsafe { memory.cast::<u8>().add(page) };
            // SAFETY: mapped for writing, and only this function uses it.
            unsafe { page.write(1) };
        }
        let mut producer = Ring::<u64, Mpmc>::open(&name).unwrap().producer().unwrap();
        producer.push(&1).unwrap();
        let _claim = producer.claim().unwrap();
        shared[0].store(1, SeqCst);
        until("killed", || false);
    });
    until("the child has claimed", || shared[0].load(SeqCst) == 1);
    assert_eq!(consumer.pop(), Ok(1));

    let pid = victim.pid();
    let killed = Instant::now();
    kill_process(pid);
    let at_once = ring.producer().err();
    until("the seat is free", || {
        matches!(consumer.peer(), Ok(Peer::Died { .. }))
    });
    let free_after = killed.elapsed();
    assert!(
        matches!(at_once, Some(AttachError::NoSeat { .. })),
        "seat right after the kill: {at_once:?}"
    );
    let mut producer = ring.producer().unwrap();
    producer.push(&3).unwrap();
    assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(3));
    let received_after = killed.elapsed();
    assert_eq!(ring.counters().tombstones, 1);
    victim.reap();
    println!(
        "2 GiB resident: the seat was free {free_after:.1?} after the kill, the next message \
         arrived after {received_after:.1?}"
    );
    assert!(received_after < Duration::from_secs(10));
}
