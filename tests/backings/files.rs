//! Rings in files: what outlives all processes, and the machine's run.

use crate::support;
use crate::support::backings::{Place, directory, within};
use crate::support::{Board, Name, fork_child, is_root, skip, start, until};
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
    within(Place::File, body);
}

/// Takes messages and claims a place for another, then waits to be killed.
#[test]
#[ignore = "the other process of a test"]
fn role_dies_in_the_middle() {
    let Some(role) = support::role("role_dies_in_the_middle") else {
        return;
    };
    let ring = mpmc::Ring::<u64>::open(role.text(0)).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    producer.push_slice(&[1, 2, 3]).unwrap();
    assert_eq!(consumer.pop(), Ok(1));
    let guard = consumer.read().unwrap();
    let claim = producer.claim().unwrap();
    Board::open(role.text(1))[0].store(1, SeqCst);
    role.is_told();
    drop((guard, claim));
}

/// Leaves a ring in which all participants were killed: one message in a guard, one waiting, and a
/// place that was claimed.
fn left_by_the_dead() -> Name {
    let (name, words) = (Name::new("ring"), Name::in_memory("board"));
    let board = Board::create(&words, 1);
    mpmc::Ring::<u64>::create(&name, 8).unwrap();
    let mut peer = start("role_dies_in_the_middle", &[&name, &words]);
    until("it holds both", || board[0].load(SeqCst) == 1);
    peer.kill_and_reap();
    name
}

#[test]
fn messages_outlive_all_who_were_killed() {
    in_file(|| {
        let name = left_by_the_dead();
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
fn after_another_boot_the_first_who_opens_a_ring_recovers_it() {
    in_file(|| {
        let (name, copy) = (left_by_the_dead(), Name::new("copy"));
        // What the machine had stored of it when it stopped.
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
        let this = boot_id();
        assert_ne!(this, [0; 16]);
        file.write_all_at(&[0xb0; 16], BOOT_ID).unwrap();

        let ring = mpmc::Ring::<u64>::open(&copy).unwrap();
        // Nobody has attached yet.
        assert_eq!(ring.counters().tombstones, 1);
        assert_eq!(boot_id(), this);
        let again = mpmc::Ring::<u64>::open(&copy).unwrap();
        assert_eq!(again.counters().recoveries, ring.counters().recoveries);
        let mut consumer = ring.consumer().unwrap();
        let mut messages: Vec<_> = consumer.try_iter().collect();
        messages.sort();
        assert_eq!(messages, [2, 3]);

        // In the same run nothing is done before somebody attaches.
        let ring = mpmc::Ring::<u64>::open(&name).unwrap();
        assert_eq!(ring.counters().recoveries, 0);
    });
}

#[test]
fn a_copy_of_a_ring_in_use_is_a_ring_that_nobody_uses() {
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
fn what_was_synced_is_in_the_file() {
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
    // Elsewhere there is nothing to be written, and nothing wrong with asking for it.
    spsc::Ring::<u64>::create("memfd:", 2)
        .unwrap()
        .sync()
        .unwrap();
    for place in [Place::SharedMemory, Place::SystemV] {
        within(place, || {
            let name = Name::new("ring");
            spsc::Ring::<u64>::create(&name, 2).unwrap().sync().unwrap();
        });
    }
}

#[test]
fn a_relative_path_is_taken_from_where_the_process_is_then() {
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
                "its name is the same wherever the process is"
            );
        })
        .finish();
    });
}

#[test]
fn what_is_wrong_with_a_path_is_told() {
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
fn a_file_size_limit_is_an_error_and_not_a_signal() {
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
            spsc::Ring::<u64>::create(&name, 256).expect("just within the limit");
        })
        .finish();
    });
}

/// Mounts file systems of several kinds, which nobody else sees.
#[test]
#[ignore = "the other process of a test"]
fn role_mounts() {
    let Some(role) = support::role("role_mounts") else {
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

    let full = spsc::Ring::<[u8; 1016]>::create(&at("large"), 64).unwrap_err();
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
    spsc::Ring::<[u8; 1016]>::create(&at("fits"), 32).unwrap();
    let full = spsc::Ring::<[u8; 1016]>::create(&at("other"), 32).unwrap_err();
    assert!(matches!(full, CreateError::NoSpace { .. }), "{full}");
    assert_eq!(fs::read_dir(base).unwrap().count(), 1);

    support::mount(
        "none",
        base,
        "",
        nix::libc::MS_REMOUNT | nix::libc::MS_RDONLY,
        "",
    );
    let refused = spsc::Ring::<u64>::create(&at("new"), 2).unwrap_err();
    assert!(matches!(refused, CreateError::ReadOnly { .. }), "{refused}");
    let refused = spsc::Ring::<[u8; 1016]>::open(&at("fits")).unwrap_err();
    assert!(matches!(refused, OpenError::ReadOnly { .. }), "{refused}");
    let refused = slipring::unlink(&at("fits")).unwrap_err();
    assert!(matches!(refused, UnlinkError::ReadOnly { .. }), "{refused}");
    support::mount("none", base, "", nix::libc::MS_REMOUNT, "");

    for directory in ["lower", "upper", "work", "over"] {
        fs::create_dir(format!("{base}/{directory}")).unwrap();
    }
    // To open a file of a lower layer for writing copies it.
    slipring::unlink(&at("fits")).unwrap();
    spsc::Ring::<[u8; 1016]>::create(&at("lower/fits"), 2).unwrap();
    let data = format!("lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work");
    let over = format!("{base}/over");
    if !support::try_mount("overlay", &over, "overlay", 0, &data) {
        return eprintln!("skipped the rest: no overlays here");
    }
    let refused = spsc::Ring::<[u8; 1016]>::open(&at("over/fits")).unwrap_err();
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
    let refused = spsc::Ring::<u64>::create(&at("over/new"), 2).unwrap_err();
    assert!(
        matches!(refused, CreateError::FileSystem { .. }),
        "{refused}"
    );
}

#[test]
fn full_read_only_and_layered_file_systems_are_told() {
    if !is_root() {
        return skip("only root may do what it needs");
    }
    let base = directory().join(format!("slipring-test-mounts-{}", std::process::id()));
    fs::create_dir(&base).unwrap();
    start("role_mounts", &[&base.display()]).finish();
    fs::remove_dir(&base).unwrap();
}

#[test]
fn flags_that_are_not_known_are_refused() {
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
