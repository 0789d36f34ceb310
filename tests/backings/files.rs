//! Rings in files: messages that persist after all processes have died, and across reboots.

use crate::support;
use crate::support::backings::{BackingKind, directory, with_backing};
use crate::support::{Name, SharedWords, fork_child, is_root, skip, start, until};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use slipring::error::{CreateError, OpenError, UnlinkError};
use slipring::{Backing, Peer, mpmc, spsc};
use std::env;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

const BOOT_ID: u64 = 0x308;
const FLAGS: u64 = 0x324;

fn in_file(body: impl FnOnce()) {
    with_backing(BackingKind::File, body);
}

/// Pops messages, holds a read guard and an open claim, and waits to be killed.
#[test]
#[ignore = "the other process of a test"]
fn role_holds_guard_and_claim_until_killed() {
    let Some(role) = support::role("role_holds_guard_and_claim_until_killed") else {
        return;
    };
    let ring = mpmc::Ring::<u64>::open(role.text(0)).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    producer.push_slice(&[1, 2, 3]).unwrap();
    assert_eq!(consumer.pop(), Ok(1));
    let guard = consumer.read().unwrap();
    let claim = producer.claim().unwrap();
    SharedWords::open(role.text(1))[0].store(1, SeqCst);
    role.wait_for_signal();
    drop((guard, claim));
}

/// Creates a ring and kills its only participant. The ring holds one message that was in a read
/// guard, one that was not claimed, and a claimed position without a message.
fn ring_of_killed_participants() -> Name {
    let (name, words) = (Name::new("ring"), Name::in_memory("words"));
    let shared = SharedWords::create(&words, 1);
    mpmc::Ring::<u64>::create(&name, 8).unwrap();
    let mut peer = start("role_holds_guard_and_claim_until_killed", &[&name, &words]);
    until("the process holds the guard and the claim", || {
        shared[0].load(SeqCst) == 1
    });
    peer.kill_and_reap();
    name
}

#[test]
fn messages_survive_death_of_all_participants() {
    in_file(|| {
        let name = ring_of_killed_participants();
        let ring = mpmc::Ring::<u64>::open(&name).unwrap();
        ring.producer().unwrap().push(&4).unwrap();
        let mut consumer = ring.consumer().unwrap();
        let mut messages: Vec<_> = consumer.try_iter().collect();
        messages.sort();
        assert_eq!(messages, [2, 3, 4]);
        let counters = ring.counters();
        assert_eq!((counters.tombstones, counters.redelivered), (1, 1));
    });
}

#[test]
fn first_open_after_reboot_recovers_file_ring() {
    in_file(|| {
        let (name, copy) = (ring_of_killed_participants(), Name::new("copy"));
        // The copy is what the machine had stored when it stopped.
        fs::copy(name.path(), copy.path()).unwrap();
        let file = File::options()
            .read(true)
            .write(true)
            .open(copy.path())
            .unwrap();
        let boot_id = || {
            let mut boot_id = [0; 16];
            file.read_exact_at(&mut boot_id, BOOT_ID).unwrap();
            boot_id
        };
        let current = boot_id();
        assert_ne!(current, [0; 16]);
        file.write_all_at(&[0xb0; 16], BOOT_ID).unwrap();

        let ring = mpmc::Ring::<u64>::open(&copy).unwrap();
        // Opening alone runs the recovery: no process has attached yet.
        assert_eq!(ring.counters().tombstones, 1);
        assert_eq!(boot_id(), current);
        let again = mpmc::Ring::<u64>::open(&copy).unwrap();
        assert_eq!(again.counters().recoveries, ring.counters().recoveries);
        let mut consumer = ring.consumer().unwrap();
        let mut messages: Vec<_> = consumer.try_iter().collect();
        messages.sort();
        assert_eq!(messages, [2, 3]);

        // Without a reboot, opening does not run the recovery.
        let ring = mpmc::Ring::<u64>::open(&name).unwrap();
        assert_eq!(ring.counters().recoveries, 0);
    });
}

#[test]
fn copy_of_ring_in_use_keeps_messages_and_frees_seats() {
    in_file(|| {
        let (name, copy) = (Name::new("ring"), Name::new("copy"));
        let ring = spsc::Ring::<u64>::create(&name, 8).unwrap();
        let (mut producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        producer.push_slice(&[1, 2, 3]).unwrap();
        fs::copy(name.path(), copy.path()).unwrap();
        File::options()
            .write(true)
            .open(copy.path())
            .unwrap()
            .write_all_at(&[7; 16], BOOT_ID)
            .unwrap();
        let other = spsc::Ring::<u64>::open(&copy).unwrap();
        let mut successor = other.consumer().unwrap();
        let pid = std::process::id();
        assert_eq!(successor.peer(), Ok(Peer::Died { pid }));
        let _next = other.producer().unwrap();
        assert_eq!(successor.pop_slice(&mut [0; 8]), Ok(3));
        assert_eq!(consumer.len(), 3);
    });
}

#[test]
fn synced_message_is_in_file() {
    in_file(|| {
        let name = Name::new("ring");
        let ring = spsc::Ring::<[u64; 1]>::create(&name, 2).unwrap();
        ring.producer()
            .unwrap()
            .push(&[0x0123_4567_89ab_cdef])
            .unwrap();
        ring.sync().unwrap();
        let bytes = fs::read(name.path()).unwrap();
        let message = 0x0123_4567_89ab_cdef_u64.to_le_bytes();
        assert!(bytes.windows(8).any(|window| window == message));
        fork_child(|| {
            let refused = ring.sync().unwrap_err();
            assert!(matches!(refused, slipring::error::SyncError::Forked(_)));
            ring.reopen().unwrap().sync().unwrap();
        })
        .finish();
    });
    // On other backings sync has nothing to write, and succeeds.
    spsc::Ring::<u64>::create("memfd:", 2)
        .unwrap()
        .sync()
        .unwrap();
    for backing in [BackingKind::SharedMemory, BackingKind::SystemV] {
        with_backing(backing, || {
            let name = Name::new("ring");
            spsc::Ring::<u64>::create(&name, 2).unwrap().sync().unwrap();
        });
    }
}

#[test]
fn relative_path_is_resolved_when_backing_is_made() {
    in_file(|| {
        let name = Name::new("ring");
        let path = name.path();
        fork_child(|| {
            env::set_current_dir(directory()).unwrap();
            let relative = Backing::file(path.file_name().unwrap()).unwrap();
            let options = slipring::Options::new().capacity(2).unlink_when_left(true);
            let ring = spsc::Ring::<u64>::create_with(&relative, &options).unwrap();
            assert!(path.exists());
            env::set_current_dir("/").unwrap();
            drop(spsc::Ring::<u64>::open(&name).unwrap());
            ring.sync().unwrap();
            drop(ring.producer().unwrap());
            assert!(
                !path.exists(),
                "the path does not depend on the current directory"
            );
        })
        .finish();
    });
}

#[test]
fn invalid_paths_return_specific_errors() {
    let directory = directory().display();
    let missing = format!("file:{directory}/slipring-test-no-such/ring");
    let create = |name: &str| spsc::Ring::<u64>::create(name, 2).unwrap_err();
    let open = |name: &str| spsc::Ring::<u64>::open(name).unwrap_err();
    assert!(matches!(create(&missing), CreateError::NoDirectory { name, .. } if name == missing));
    assert!(matches!(open(&missing), OpenError::NotFound { name, .. } if name == missing));
    let parent = format!("file:{directory}");
    assert!(matches!(create(&parent), CreateError::Exists { .. }));
    assert!(matches!(open(&parent), OpenError::NotARing { .. }));
    assert!(matches!(
        create("file:/proc/ring"),
        CreateError::FileSystem { .. }
            | CreateError::Permission { .. }
            | CreateError::NoDirectory { .. }
    ));
    for (name, reason) in [
        ("file:", "it is a directory"),
        ("file:/", "it is a directory"),
        ("file:/tmp/", "it is a directory"),
        ("file:..", "it is a directory"),
        ("file:a\0b", "there is a zero byte"),
    ] {
        let CreateError::InvalidName(invalid) = create(name) else {
            panic!("{name}");
        };
        assert_eq!((&*invalid.name, invalid.reason), (name, reason));
    }
}

#[test]
fn create_above_file_size_limit_returns_error_not_signal() {
    in_file(|| {
        let name = Name::new("ring");
        fork_child(|| {
            let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
            setrlimit(Resource::RLIMIT_FSIZE, 8192, hard).unwrap();
            for place in [&*name, "memfd:"] {
                let refused = spsc::Ring::<u64>::create(place, 512).unwrap_err();
                let limit = matches!(
                    refused,
                    CreateError::FileSizeLimit {
                        needed: 12288,
                        limit: 8192,
                        ..
                    }
                );
                assert!(limit, "{refused}");
            }
            spsc::Ring::<u64>::create(&name, 256).expect("exactly at the limit");
        })
        .finish();
    });
}

/// Creates and opens rings on file systems that it mounts in its own mount namespace.
#[test]
#[ignore = "the other process of a test"]
fn role_creates_rings_on_limited_mounts() {
    let Some(role) = support::role("role_creates_rings_on_limited_mounts") else {
        return;
    };
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    support::mount(
        "none",
        "/",
        "",
        nix::libc::MS_REC | nix::libc::MS_PRIVATE,
        "",
    );
    let base = role.text(0);
    support::mount("tmpfs", base, "tmpfs", 0, "size=64k");
    let at = |name: &str| format!("file:{base}/{name}");

    let full = spsc::Ring::<[u8; 1016]>::create(at("large"), 64).unwrap_err();
    assert!(
        matches!(
            full,
            CreateError::NoSpace {
                needed: 69632,
                available: ..=65536,
                ..
            }
        ),
        "{full}"
    );
    spsc::Ring::<[u8; 1016]>::create(at("fits"), 32).unwrap();
    let full = spsc::Ring::<[u8; 1016]>::create(at("other"), 32).unwrap_err();
    assert!(matches!(full, CreateError::NoSpace { .. }), "{full}");
    assert_eq!(fs::read_dir(base).unwrap().count(), 1);

    support::mount(
        "none",
        base,
        "",
        nix::libc::MS_REMOUNT | nix::libc::MS_RDONLY,
        "",
    );
    let refused = spsc::Ring::<u64>::create(at("new"), 2).unwrap_err();
    assert!(matches!(refused, CreateError::ReadOnly { .. }), "{refused}");
    let refused = spsc::Ring::<[u8; 1016]>::open(at("fits")).unwrap_err();
    assert!(matches!(refused, OpenError::ReadOnly { .. }), "{refused}");
    let refused = slipring::unlink(at("fits")).unwrap_err();
    assert!(matches!(refused, UnlinkError::ReadOnly { .. }), "{refused}");
    support::mount("none", base, "", nix::libc::MS_REMOUNT, "");

    for directory in ["lower", "upper", "work", "over"] {
        fs::create_dir(format!("{base}/{directory}")).unwrap();
    }
    // Opening a file of a lower layer for writing copies it, so an overlay is refused.
    slipring::unlink(at("fits")).unwrap();
    spsc::Ring::<[u8; 1016]>::create(at("lower/fits"), 2).unwrap();
    let data = format!("lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work");
    let over = format!("{base}/over");
    if !support::try_mount("overlay", &over, "overlay", 0, &data) {
        return eprintln!("skipped the rest: overlayfs is not available");
    }
    let refused = spsc::Ring::<[u8; 1016]>::open(at("over/fits")).unwrap_err();
    assert!(
        matches!(
            refused,
            OpenError::FileSystem {
                found: 0x794c_7630,
                ..
            }
        ),
        "{refused}"
    );
    let refused = spsc::Ring::<u64>::create(at("over/new"), 2).unwrap_err();
    assert!(
        matches!(refused, CreateError::FileSystem { .. }),
        "{refused}"
    );
}

#[test]
fn full_readonly_and_overlay_file_systems_return_errors() {
    if !is_root() {
        return skip("this test needs root");
    }
    let base = directory().join(format!("slipring-test-mounts-{}", std::process::id()));
    fs::create_dir(&base).unwrap();
    start("role_creates_rings_on_limited_mounts", &[&base.display()]).finish();
    fs::remove_dir(&base).unwrap();
}

#[test]
fn open_with_unknown_header_flags_returns_unknown_flags() {
    in_file(|| {
        let name = Name::new("ring");
        spsc::Ring::<u64>::create(&name, 2).unwrap();
        let file = File::options().write(true).open(name.path()).unwrap();
        file.write_all_at(&3_u32.to_le_bytes(), FLAGS).unwrap();
        let refused = spsc::Ring::<u64>::open(&name).unwrap_err();
        assert!(
            matches!(refused, OpenError::UnknownFlags { found: 2, .. }),
            "{refused}"
        );
        file.write_all_at(&1_u32.to_le_bytes(), FLAGS).unwrap();
        spsc::Ring::<u64>::open(&name).unwrap();
        assert!(Path::new(&name.path()).exists());
    });
}
