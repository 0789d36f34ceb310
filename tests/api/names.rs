//! Names of rings: create, open and unlink, and the effect of each option on them.

use crate::support::kinds::{kind, one_of_each};
use crate::support::names::Name;
use crate::support::own_process::in_own_process;
use slipring::error::{AttachError, CreateError, OpenError, OpenOrCreateError, UnlinkError};
use slipring::{Fences, Options, Peer, Producer, Protocol, Ring, Spsc, unlink};
use std::fs;
use std::iter;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

for_each_kind! {
    memory:
        create_mode_is_exact_under_any_umask
    ;
    memory_and_files:
        unlinked_ring_keeps_working_for_open_handles
    ;
    all_backings:
        name_is_created_once_opened_often_and_unlinked_once
        open_or_create_creates_missing_and_opens_matching
        unset_options_refuse_no_ring
        concurrent_open_or_create_all_get_the_same_ring
        concurrent_create_succeeds_once_and_opens_are_complete
        ring_reopened_after_all_detach_keeps_messages
    ;
}

fn name_is_created_once_opened_often_and_unlinked_once<P: Protocol>() {
    let name = Name::new();
    assert!(matches!(
        Ring::<u64, P>::open(&name),
        Err(OpenError::NotFound { .. })
    ));
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    assert!(matches!(
        Ring::<u64, P>::create(&name, 2),
        Err(CreateError::Exists { .. })
    ));
    let opened = Ring::<u64, P>::open(&name).unwrap();
    let also = Ring::<u64, P>::open_or_create(&name, 2).unwrap();
    ring.producer().unwrap().push(&1).unwrap();
    assert_eq!((opened.len(), also.len()), (1, 1));
    unlink(&name).unwrap();
    assert!(matches!(unlink(&name), Err(UnlinkError::NotFound { .. })));
    assert!(matches!(
        Ring::<u64, P>::open(&name),
        Err(OpenError::NotFound { .. })
    ));
}

fn open_or_create_creates_missing_and_opens_matching<P: Protocol>() {
    let name = Name::new();
    let strings = Ring::<[u8], P>::open_or_create_bytes(&name, 3, 10).unwrap();
    assert_eq!((strings.capacity(), strings.message_size()), (4, 10));
    drop(strings);
    Ring::<[u8], P>::open_or_create_bytes(&name, 4, 10).unwrap();
    let other = Ring::<[u8], P>::open_or_create_bytes(&name, 4, 11).unwrap_err();
    let OpenOrCreateError::Open(OpenError::PayloadSize {
        expected, found, ..
    }) = other
    else {
        panic!("{other:?}");
    };
    assert_eq!((expected, found), (11, 10));
}

#[test]
fn invalid_name_is_refused_with_its_reason() {
    let long = "/".to_owned() + &"x".repeat(256);
    let wide = "/".to_owned() + &"ü".repeat(128);
    let invalid = [
        ("", "it does not start with a slash"),
        ("ring", "it does not start with a slash"),
        ("./ring", "it does not start with a slash"),
        ("/", "there is nothing after the slash"),
        ("/.", "it is a directory"),
        ("/..", "it is a directory"),
        ("//", "there is a second slash"),
        ("/a/b", "there is a second slash"),
        ("/ring/", "there is a second slash"),
        ("/../etc", "there is a second slash"),
        ("/a\0b", "there is a zero byte"),
        (&long, "it is longer than 255 bytes"),
        (&wide, "it is longer than 255 bytes"),
    ];
    for (name, reason) in invalid {
        let Err(CreateError::InvalidName(by_create)) = Ring::<u64, Spsc>::create(name, 2) else {
            panic!("{name:?}");
        };
        assert_eq!((&*by_create.name, by_create.reason), (name, reason));
        let Err(OpenError::InvalidName(by_open)) = Ring::<u64, Spsc>::open(name) else {
            panic!("{name:?}");
        };
        let Err(UnlinkError::InvalidName(by_unlink)) = unlink(name) else {
            panic!("{name:?}");
        };
        assert_eq!((&by_open, &by_unlink), (&by_create, &by_create));
        let by_both = Ring::<u64, Spsc>::open_or_create(name, 2).unwrap_err();
        assert_eq!(by_both.to_string(), by_create.to_string());
    }
}

#[test]
fn unusual_valid_names_are_accepted() {
    let unique = Name::new();
    let longest = format!("{}{}", &*unique, "x".repeat(256 - unique.len()));
    assert_eq!(longest.len(), 256);
    let unusual = [
        "-{}",
        ".{}",
        "{} with spaces",
        "{}\n",
        "{}-ü",
        "{}*",
        "{}\\",
    ];
    let unusual = unusual.map(|form| format!("/{}", form.replace("{}", &unique[1..])));
    for name in unusual.iter().chain(iter::once(&longest)) {
        Ring::<u64, Spsc>::create(name, 2).unwrap();
        let found = Ring::<u64, Spsc>::open(name).map(drop);
        unlink(name).unwrap();
        found.unwrap();
    }
}

fn create_mode_is_exact_under_any_umask<P: Protocol>() {
    in_own_process(
        &format!("{}::create_mode_is_exact_under_any_umask", kind::<P>()),
        || {
            use nix::sys::stat::{Mode, umask};
            for mask in [0, 0o022, 0o077, 0o777] {
                umask(Mode::from_bits_truncate(mask));
                for mode in [
                    None,
                    Some(0o600),
                    Some(0o660),
                    Some(0o666),
                    Some(0o777),
                    Some(0o640),
                ] {
                    let name = Name::new();
                    let options = Options::new().capacity(2);
                    let options = mode.map_or(options.clone(), |bits| options.mode(bits));
                    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
                    let found = fs::metadata(name.path()).unwrap().permissions().mode() & 0o7777;
                    assert_eq!(found, mode.unwrap_or(0o600));
                    ring.producer().unwrap().push(&1).unwrap();
                    Ring::<u64, P>::open_with(&name, &options).unwrap();
                }
            }
        },
    );
}

fn unset_options_refuse_no_ring<P: Protocol>() {
    let name = Name::new();
    let made = Options::new()
        .capacity(4)
        .mode(0o640)
        .schema(7)
        .liveness_interval(Duration::from_millis(3))
        .fences(Fences::Symmetric);
    Ring::<u64, P>::create_with(&name, &made).unwrap();
    Ring::<u64, P>::open(&name).unwrap();
    Ring::<u64, P>::open_with(&name, &made.clone().message_size(8).prefault(true)).unwrap();
    Ring::<u64, P>::open_or_create_with(&name, &made.capacity(3)).unwrap();
}

#[test]
fn liveness_interval_of_any_length_matches_at_reopen() {
    for interval in [
        Duration::from_nanos(1),
        Duration::from_secs(1 << 34),
        Duration::MAX,
    ] {
        let name = Name::new();
        let options = Options::new().capacity(2).liveness_interval(interval);
        let _ring = Ring::<u64, Spsc>::create_with(&name, &options).unwrap();
        Ring::<u64, Spsc>::open_with(&name, &options).unwrap();
    }
}

/// The ring that one thread opened, and a producer if the thread obtained the seat.
type Opened<P> = (Ring<u64, P>, Option<Producer<u64, P>>);

fn concurrent_open_or_create_all_get_the_same_ring<P: Protocol>() {
    const THREADS: usize = 8;
    let options = one_of_each::<P>().capacity(16);
    for _ in 0..40 {
        let name = Name::new();
        let start = Barrier::new(THREADS);
        let opened: Vec<Opened<P>> = thread::scope(|scope| {
            let open_and_attach = || {
                start.wait();
                let ring = Ring::<u64, P>::open_or_create_with(&name, &options).unwrap();
                match ring.producer() {
                    Ok(mut producer) => {
                        producer.push(&7).unwrap();
                        (ring, Some(producer))
                    }
                    Err(AttachError::Taken { .. } | AttachError::NoSeat { .. }) => (ring, None),
                    Err(other) => panic!("{other:?}"),
                }
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(open_and_attach)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let attached = opened.iter().filter(|(_, producer)| producer.is_some());
        assert_eq!(attached.count(), 1);
        assert!(opened.iter().all(|(ring, _)| ring.len() == 1));
    }
}

fn concurrent_create_succeeds_once_and_opens_are_complete<P: Protocol>() {
    const THREADS: usize = 4;
    for _ in 0..40 {
        let name = Name::new();
        let start = Barrier::new(2 * THREADS);
        let create = || {
            start.wait();
            match Ring::<u64, P>::create(&name, 1024) {
                Ok(_) => 1,
                Err(CreateError::Exists { .. }) => 0,
                Err(other) => panic!("{other:?}"),
            }
        };
        let open = || {
            start.wait();
            loop {
                match Ring::<u64, P>::open(&name) {
                    Ok(ring) => break ring.consumer().map_or(0, |consumer| consumer.len()),
                    Err(OpenError::NotFound { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        };
        let created = thread::scope(|scope| {
            let creators: Vec<_> = (0..THREADS).map(|_| scope.spawn(create)).collect();
            let openers: Vec<_> = (0..THREADS).map(|_| scope.spawn(open)).collect();
            assert!(
                openers
                    .into_iter()
                    .all(|thread| thread.join().unwrap() == 0)
            );
            let created = creators.into_iter().map(|thread| thread.join().unwrap());
            created.sum::<i32>()
        });
        assert_eq!(created, 1);
    }
}

fn ring_reopened_after_all_detach_keeps_messages<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<[u8], P>::create_bytes(&name, 4, 8).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    producer.push_slice(&[*b"a", *b"b", *b"c"]).unwrap();
    assert_eq!(consumer.pop().unwrap(), b"a");
    drop((ring, producer, consumer));
    let ring = Ring::<[u8], P>::open(&name).unwrap();
    assert_eq!(ring.len(), 2);
    ring.producer().unwrap().push(b"d").unwrap();
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(consumer.peer(), Ok(Peer::Left));
    assert_eq!(consumer.iter().collect::<Vec<_>>(), [b"b", b"c", b"d"]);
}

fn unlinked_ring_keeps_working_for_open_handles<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let opened = Ring::<u64, P>::open(&name).unwrap();
    unlink(&name).unwrap();
    let other = Ring::<u64, P>::create(&name, 8).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = opened.consumer().unwrap();
    assert_eq!(
        producer.peer(),
        Ok(Peer::Present {
            pid: std::process::id()
        })
    );
    producer.push(&1).unwrap();
    assert_eq!(consumer.pop(), Ok(1));
    assert!(other.is_empty() && other.producer().is_ok());
    drop(consumer);
    assert_eq!(producer.peer(), Ok(Peer::Left));
}
