//! Rings by name: making, finding and removing them, and what each option does to that.

use crate::support::kinds::{kind, one_of_each};
use crate::support::names::Name;
use crate::support::own_process::alone;
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
        the_mode_is_exact_whatever_the_umask
    ;
    memory_and_files:
        a_ring_without_a_name_goes_on_for_those_who_have_it
    ;
    all_backings:
        a_name_is_created_once_opened_often_and_removed_once
        open_or_create_makes_what_is_not_there
        an_option_that_is_not_set_refuses_nothing
        of_many_that_open_or_create_at_once_one_creates_and_all_get_the_same_ring
        of_many_that_create_at_once_one_succeeds_and_nobody_opens_half_a_ring
        a_ring_that_all_have_left_is_found_whole_by_the_next
    ;
}

fn a_name_is_created_once_opened_often_and_removed_once<P: Protocol>() {
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

fn open_or_create_makes_what_is_not_there<P: Protocol>() {
    let name = Name::new();
    let strings = Ring::<[u8], P>::open_or_create(&name, 3, 10).unwrap();
    assert_eq!((strings.capacity(), strings.message_size()), (4, 10));
    drop(strings);
    Ring::<[u8], P>::open_or_create(&name, 4, 10).unwrap();
    let other = Ring::<[u8], P>::open_or_create(&name, 4, 11).unwrap_err();
    let OpenOrCreateError::Open(OpenError::PayloadSize {
        expected, found, ..
    }) = other
    else {
        panic!("{other:?}");
    };
    assert_eq!((expected, found), (11, 10));
}

#[test]
fn a_name_has_a_slash_in_front_and_nowhere_else() {
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
fn odd_names_are_names() {
    let unique = Name::new();
    let filled = format!("{}{}", &*unique, "x".repeat(256 - unique.len()));
    assert_eq!(filled.len(), 256);
    let odd = [
        "-{}",
        ".{}",
        "{} with spaces",
        "{}\n",
        "{}-ü",
        "{}*",
        "{}\\",
    ];
    let odd = odd.map(|form| format!("/{}", form.replace("{}", &unique[1..])));
    for name in odd.iter().chain(iter::once(&filled)) {
        Ring::<u64, Spsc>::create(name, 2).unwrap();
        let found = Ring::<u64, Spsc>::open(name).map(drop);
        unlink(name).unwrap();
        found.unwrap();
    }
}

fn the_mode_is_exact_whatever_the_umask<P: Protocol>() {
    alone(
        &format!("{}::the_mode_is_exact_whatever_the_umask", kind::<P>()),
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

fn an_option_that_is_not_set_refuses_nothing<P: Protocol>() {
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
fn an_interval_of_any_length_is_the_same_when_it_is_asked_for_again() {
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

/// What one thread found: the ring, and the end that it took of it.
type Found<P> = (Ring<u64, P>, Option<Producer<u64, P>>);

fn of_many_that_open_or_create_at_once_one_creates_and_all_get_the_same_ring<P: Protocol>() {
    const THREADS: usize = 8;
    let options = one_of_each::<P>().capacity(16);
    for _ in 0..40 {
        let name = Name::new();
        let start = Barrier::new(THREADS);
        let found: Vec<Found<P>> = thread::scope(|scope| {
            let one = || {
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
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(one)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(
            found
                .iter()
                .filter(|(_, producer)| producer.is_some())
                .count(),
            1
        );
        assert!(found.iter().all(|(ring, _)| ring.len() == 1));
    }
}

fn of_many_that_create_at_once_one_succeeds_and_nobody_opens_half_a_ring<P: Protocol>() {
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

fn a_ring_that_all_have_left_is_found_whole_by_the_next<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<[u8], P>::create(&name, 4, 8).unwrap();
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

fn a_ring_without_a_name_goes_on_for_those_who_have_it<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let also = Ring::<u64, P>::open(&name).unwrap();
    unlink(&name).unwrap();
    let other = Ring::<u64, P>::create(&name, 8).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = also.consumer().unwrap();
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
