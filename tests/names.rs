//! Rings by name: making, finding and removing them, and what each option does to that.

mod naming;

use naming::Name;
use slipring::error::{AttachError, CreateError, OpenError, OpenOrCreateError, UnlinkError};
use slipring::spsc::{Producer, Ring};
use slipring::{Fences, Options, Peer, unlink};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;
use std::{env, iter};

/// Runs `body`, which looks at or changes something that all tests share, in a process of its
/// own: this test's, started again.
fn alone(test: &str, body: impl FnOnce()) {
    const ALONE: &str = "SLIPRING_TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        return body();
    }
    let mut again = Command::new(env::current_exe().unwrap());
    let ran = again
        .args(["--exact", test])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success() && told.contains("1 passed"), "{told}");
}

/// The numbers of this process's descriptors of the file that has `name`.
fn descriptors(name: &Name) -> Vec<i32> {
    let file = fs::metadata(name.path()).unwrap();
    let is_it = |number: &i32| {
        fs::metadata(format!("/proc/self/fd/{number}"))
            .is_ok_and(|found| (found.dev(), found.ino()) == (file.dev(), file.ino()))
    };
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let numbers = entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse());
    numbers.map(Result::unwrap).filter(is_it).collect()
}

#[test]
fn a_name_is_created_once_opened_often_and_removed_once() {
    let name = Name::new();
    assert!(matches!(
        Ring::<u64>::open(&name),
        Err(OpenError::NotFound { .. })
    ));
    let ring = Ring::<u64>::create(&name, 2).unwrap();
    assert!(matches!(
        Ring::<u64>::create(&name, 2),
        Err(CreateError::Exists { .. })
    ));
    let opened = Ring::<u64>::open(&name).unwrap();
    let also = Ring::<u64>::open_or_create(&name, 2).unwrap();
    ring.producer().unwrap().push(&1).unwrap();
    assert_eq!((opened.len(), also.len()), (1, 1));
    unlink(&name).unwrap();
    assert!(matches!(unlink(&name), Err(UnlinkError::NotFound { .. })));
    assert!(matches!(
        Ring::<u64>::open(&name),
        Err(OpenError::NotFound { .. })
    ));
}

#[test]
fn open_or_create_makes_what_is_not_there() {
    let name = Name::new();
    let strings = Ring::<[u8]>::open_or_create(&name, 3, 10).unwrap();
    assert_eq!((strings.capacity(), strings.message_size()), (4, 10));
    drop(strings);
    Ring::<[u8]>::open_or_create(&name, 4, 10).unwrap();
    let other = Ring::<[u8]>::open_or_create(&name, 4, 11).unwrap_err();
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
        let Err(CreateError::InvalidName(by_create)) = Ring::<u64>::create(name, 2) else {
            panic!("{name:?}");
        };
        assert_eq!((&*by_create.name, by_create.reason), (name, reason));
        let Err(OpenError::InvalidName(by_open)) = Ring::<u64>::open(name) else {
            panic!("{name:?}");
        };
        let Err(UnlinkError::InvalidName(by_unlink)) = unlink(name) else {
            panic!("{name:?}");
        };
        assert_eq!((&by_open, &by_unlink), (&by_create, &by_create));
        let by_both = Ring::<u64>::open_or_create(name, 2).unwrap_err();
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
        Ring::<u64>::create(name, 2).unwrap();
        let found = Ring::<u64>::open(name).map(drop);
        unlink(name).unwrap();
        found.unwrap();
    }
}

#[test]
fn the_mode_is_exact_whatever_the_umask() {
    alone("the_mode_is_exact_whatever_the_umask", || {
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
                let ring = Ring::<u64>::create_with(&name, &options).unwrap();
                let found = fs::metadata(name.path()).unwrap().permissions().mode() & 0o7777;
                assert_eq!(found, mode.unwrap_or(0o600));
                ring.producer().unwrap().push(&1).unwrap();
                Ring::<u64>::open_with(&name, &options).unwrap();
            }
        }
    });
}

#[test]
fn an_option_that_is_not_set_refuses_nothing() {
    let name = Name::new();
    let made = Options::new()
        .capacity(4)
        .mode(0o640)
        .schema(7)
        .liveness_interval(Duration::from_millis(3))
        .fences(Fences::Symmetric);
    Ring::<u64>::create_with(&name, &made).unwrap();
    Ring::<u64>::open(&name).unwrap();
    Ring::<u64>::open_with(&name, &made.clone().message_size(8).prefault(true)).unwrap();
    Ring::<u64>::open_or_create_with(&name, &made.capacity(3)).unwrap();
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
        let _ring = Ring::<u64>::create_with(&name, &options).unwrap();
        Ring::<u64>::open_with(&name, &options).unwrap();
    }
}

#[test]
fn of_many_that_open_or_create_at_once_one_creates_and_all_get_the_same_ring() {
    const THREADS: usize = 8;
    for _ in 0..40 {
        let name = Name::new();
        let start = Barrier::new(THREADS);
        let found: Vec<(Ring<u64>, Option<Producer<u64>>)> = thread::scope(|scope| {
            let one = || {
                start.wait();
                let ring = Ring::<u64>::open_or_create(&name, 16).unwrap();
                match ring.producer() {
                    Ok(mut producer) => {
                        producer.push(&7).unwrap();
                        (ring, Some(producer))
                    }
                    Err(AttachError::Taken { .. }) => (ring, None),
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

#[test]
fn of_many_that_create_at_once_one_succeeds_and_nobody_opens_half_a_ring() {
    const THREADS: usize = 4;
    for _ in 0..40 {
        let name = Name::new();
        let start = Barrier::new(2 * THREADS);
        let create = || {
            start.wait();
            match Ring::<u64>::create(&name, 1024) {
                Ok(_) => 1,
                Err(CreateError::Exists { .. }) => 0,
                Err(other) => panic!("{other:?}"),
            }
        };
        let open = || {
            start.wait();
            loop {
                match Ring::<u64>::open(&name) {
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

#[test]
fn a_ring_that_all_have_left_is_found_whole_by_the_next() {
    let name = Name::new();
    let ring = Ring::<[u8]>::create(&name, 4, 8).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    producer.push_slice(&[*b"a", *b"b", *b"c"]).unwrap();
    assert_eq!(consumer.pop().unwrap(), b"a");
    drop((ring, producer, consumer));
    let ring = Ring::<[u8]>::open(&name).unwrap();
    assert_eq!(ring.len(), 2);
    ring.producer().unwrap().push(b"d").unwrap();
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(consumer.peer(), Ok(Peer::Left));
    assert_eq!(consumer.iter().collect::<Vec<_>>(), [b"b", b"c", b"d"]);
}

#[test]
fn a_ring_without_a_name_goes_on_for_those_who_have_it() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 4).unwrap();
    let also = Ring::<u64>::open(&name).unwrap();
    unlink(&name).unwrap();
    let other = Ring::<u64>::create(&name, 8).unwrap();
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

#[test]
fn prefaulting_enters_every_page_of_an_opened_ring() {
    let name = Name::new();
    let ring = Ring::<[u8]>::create(&name, 256, 8184).unwrap();
    drop(ring);
    let size = fs::metadata(name.path()).unwrap().len() / 1024;
    let _ring = Ring::<[u8]>::open_with(&name, &Options::new().prefault(true)).unwrap();
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let (_, ours) = maps.split_once(&*name).unwrap();
    let kilobytes = |field: &str| -> u64 {
        let line = ours
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    };
    assert_eq!((kilobytes("Size:"), kilobytes("Rss:")), (size, size));
}

#[test]
fn no_descriptor_stays_behind() {
    alone("no_descriptor_stays_behind", || {
        let open = || fs::read_dir("/proc/self/fd").unwrap().count();
        let maps = || {
            fs::read_to_string("/proc/self/maps")
                .unwrap()
                .matches("/dev/shm")
                .count()
        };
        let (open_before, maps_before) = (open(), maps());
        for _ in 0..20 {
            let name = Name::new();
            let ring = Ring::<u64>::create(&name, 4).unwrap();
            let also = Ring::<u64>::open(&name).unwrap();
            let ends = (ring.producer().unwrap(), also.consumer().unwrap());
            assert_eq!(
                open(),
                open_before + 2,
                "one for each ring, none for its ends"
            );
            assert!(Ring::<u64>::create(&name, 4).is_err());
            assert!(Ring::<u32>::open(&name).is_err());
            assert!(ring.producer().is_err() && also.consumer().is_err());
            assert_eq!(open(), open_before + 2);
            assert_eq!(maps(), maps_before + 4);
            drop((ring, also));
            drop(ends);
            assert_eq!((open(), maps()), (open_before, maps_before));
        }
    });
}

#[test]
fn every_descriptor_is_closed_by_exec() {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 4).unwrap();
    let also = Ring::<u64>::open(&name).unwrap();
    let _ends = (ring.producer().unwrap(), also.consumer().unwrap());
    let numbers = descriptors(&name);
    assert_eq!(numbers.len(), 2);
    for number in numbers {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        assert_ne!(flags & CLOSE_ON_EXEC, 0);
    }
}

#[test]
fn a_descriptor_that_was_replaced_behind_its_back_is_neither_believed_nor_closed() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 2).unwrap();
    let mut producer = ring.producer().unwrap();
    let consumer = ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let numbers = descriptors(&name);
    let [number] = numbers[..] else {
        panic!("{numbers:?}");
    };
    let null = fs::File::open("/dev/null").unwrap();
    // SAFETY: dup2 takes two numbers.
    let replaced = unsafe { nix::libc::dup2(null.as_raw_fd(), number) };
    assert_eq!(replaced, number);
    let pid = std::process::id();
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    drop(consumer);
    // It may not know any more; what it must not do is to take /dev/null's word for it.
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    assert!(matches!(ring.consumer(), Err(AttachError::System(_))));
    drop((ring, producer));
    let link = fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
    assert_eq!(link.to_str(), Some("/dev/null"));
    // SAFETY: close takes a number, which is of the copy made above and nobody else's.
    unsafe { nix::libc::close(number) };
}
