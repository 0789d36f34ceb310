//! How a ring's memory is had: locked, entered at once, in huge pages, between guards; and whose it is.

use crate::support;
use crate::support::backings::{Place, within};
use crate::support::{Name, fork_child, is_root, skip};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use slipring::error::{CreateError, Disconnected, MapError, OpenError, PushError};
use slipring::spsc::Ring;
use slipring::{HugePages, Options, Protocol, mpmc};
use std::fs;
use std::num::NonZeroUsize;
use std::sync::Mutex;

const PLACES: [Place; 3] = [Place::SharedMemory, Place::File, Place::SystemV];

/// Runs `body` for a name in each kind of place, and once for a memfd.
fn everywhere(body: impl Fn(&str)) {
    for place in PLACES {
        within(place, || body(&Name::new("ring")));
    }
    body("memfd:");
}

/// Rings of 16 pages.
fn large() -> Options {
    Options::new().capacity(15).message_size(4088)
}

fn create(name: &str, options: &Options) -> Result<slipring::spsc::Ring<[u8]>, CreateError> {
    Ring::create_with(name, options)
}

#[test]
fn locked_memory_is_locked_or_refused() {
    everywhere(|name| {
        let ring = create(name, &large().lock_memory(true)).unwrap();
        let stat = ring.memory_stat().unwrap();
        assert_eq!(
            (stat.locked, stat.resident),
            (stat.size, stat.size),
            "{name}"
        );
        assert_eq!(
            ring.reopen().unwrap().memory_stat().unwrap().locked,
            stat.size
        );
    });
    everywhere(|name| {
        if !is_root() {
            return skip("only root may do what it needs");
        }
        fork_child(|| {
            setrlimit(Resource::RLIMIT_MEMLOCK, 8192, 8192).unwrap();
            // SAFETY: takes a number; this process has one thread.
            assert_eq!(unsafe { nix::libc::setuid(65534) }, 0);
            if name.starts_with("file:") {
                return;
            }
            let refused = create(name, &large().lock_memory(true)).unwrap_err();
            let CreateError::Map(MapError::LockedMemory { needed, limit, .. }) = refused else {
                panic!("{refused}");
            };
            assert_eq!((needed, limit), (69632, 8192));
            let ring = create(name, &large()).unwrap();
            assert_eq!(ring.memory_stat().unwrap().locked, 0);
            let _ = slipring::unlink(name);
        })
        .finish();
    });
}

#[test]
fn prefaulting_enters_every_page_wherever_the_ring_is() {
    everywhere(|name| {
        let made = create(name, &large()).unwrap();
        let prefault = Options::new().prefault(true);
        let ring = match made.descriptor() {
            Some(descriptor) if name == "memfd:" => {
                Ring::<[u8]>::from_fd_with(descriptor, &prefault)
            }
            _ => Ring::<[u8]>::open_with(name, &prefault),
        }
        .unwrap();
        let stat = ring.memory_stat().unwrap();
        assert_eq!((stat.resident, stat.size), (69632, 69632), "{name}");
        let plain = made.reopen().unwrap();
        assert!(plain.memory_stat().unwrap().resident < stat.size, "{name}");
    });
}

/// Where this process has mappings of `size` bytes between two that can't be accessed.
fn guarded(size: usize) -> Vec<usize> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let ranges = maps.lines().map(|line| {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).unwrap());
        (start, end, &rest[..4])
    });
    let ranges: Vec<_> = ranges.collect();
    let guarded = ranges.windows(3).filter(|three| {
        let (before, ring, after) = (three[0], three[1], three[2]);
        (ring.1 - ring.0, ring.2) == (size, "rw-s")
            && (before.1, before.2) == (ring.0, "---p")
            && (after.0, after.2) == (ring.1, "---p")
    });
    guarded.map(|three| three[1].0).collect()
}

#[test]
fn whoever_runs_over_the_ends_of_a_ring_is_stopped() {
    everywhere(|name| {
        let ring = create(name, &large()).unwrap();
        let size = ring.memory_stat().unwrap().size as usize;
        for is_before in [true, false] {
            let mut child = fork_child(|| {
                let _again = ring.reopen().unwrap();
                let start = guarded(size)[0];
                let at = match is_before {
                    true => start - 1,
                    false => start + size,
                };
                let at = std::ptr::with_exposed_provenance::<u8>(at);
                // SAFETY: none: what is to be seen is that the process does not survive it.
                unsafe { at.read_volatile() };
            });
            let ended = child.reap();
            let killed = matches!(ended, WaitStatus::Signaled(_, Signal::SIGSEGV, _));
            assert!(killed, "{ended:?}");
        }
    });
}

#[test]
fn advice_to_use_huge_pages_is_no_promise_and_what_came_of_it_is_told() {
    everywhere(|name| {
        let options = Options::new()
            .capacity(1 << 18)
            .huge_pages(HugePages::Advised);
        let ring = Ring::<u64>::create_with(name, &options).unwrap();
        let stat = ring.memory_stat().unwrap();
        assert!(stat.huge <= stat.size);
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        producer.push(&7).unwrap();
        assert_eq!(consumer.pop(), Ok(7));
    });
}

/// Who changes how many huge pages there are.
static HUGE_PAGES: Mutex<()> = Mutex::new(());
const SET_ASIDE: &str = "/proc/sys/vm/nr_hugepages";

/// Runs `body` while the machine has this many more huge pages, if it can have them.
fn with_huge_pages(more: u64, body: impl FnOnce()) {
    struct Back(String);
    impl Drop for Back {
        fn drop(&mut self) {
            fs::write(SET_ASIDE, &self.0).unwrap();
        }
    }
    let _one = HUGE_PAGES
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let Ok(before) = fs::read_to_string(SET_ASIDE) else {
        return skip("this kernel has no huge pages");
    };
    let wanted = before.trim().parse::<u64>().unwrap() + more;
    let back = Back(before);
    if more > 0 && fs::write(SET_ASIDE, wanted.to_string()).is_err() {
        std::mem::forget(back);
        return skip("only root may set huge pages aside");
    }
    let got = fs::read_to_string(SET_ASIDE).unwrap();
    if got.trim().parse::<u64>().unwrap() < wanted {
        return skip("the machine has no huge pages to set aside");
    }
    body();
}

fn free_huge_pages() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("HugePages_Free:"));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

#[test]
fn without_huge_pages_there_is_no_ring_of_them() {
    with_huge_pages(0, || {
        if free_huge_pages() > 0 {
            return skip("there are some");
        }
        let options = large().huge_pages(HugePages::Reserved);
        for place in [Place::SystemV, Place::SharedMemory] {
            within(place, || {
                let name = Name::new("ring");
                let refused = create(&name, &options).unwrap_err();
                match place {
                    Place::SystemV => {
                        let told = matches!(refused, CreateError::NoHugePages { needed: 1, .. });
                        assert!(told, "{refused}");
                    }
                    _ => assert!(matches!(refused, CreateError::NotHuge { .. }), "{refused}"),
                }
                assert!(Ring::<[u8]>::open(&name).is_err());
            });
        }
        let refused = create("memfd:", &options).unwrap_err();
        assert!(
            matches!(refused, CreateError::NoHugePages { needed: 1, .. }),
            "{refused}"
        );
    });
}

#[test]
fn a_file_size_limit_is_an_error_also_for_what_huge_pages_add() {
    fork_child(|| {
        // Between the size of the ring and that of its pages.
        setrlimit(Resource::RLIMIT_FSIZE, 1 << 20, 1 << 20).unwrap();
        let refused = create("memfd:", &large().huge_pages(HugePages::Reserved)).unwrap_err();
        assert!(
            matches!(
                refused,
                CreateError::FileSizeLimit { .. } | CreateError::NotHuge { .. }
            ),
            "{refused}"
        );
    })
    .finish();
}

#[test]
fn whatever_lies_around_it_a_segment_of_huge_pages_is_known_for_one() {
    with_huge_pages(1, || {
        within(Place::SystemV, || {
            let name = Name::new("ring");
            let options = large().huge_pages(HugePages::Reserved);
            let _ring = create(&name, &options).unwrap();
            let reserved = Options::new().huge_pages(HugePages::Reserved);
            let page = NonZeroUsize::new(4096).unwrap();
            for _ in 0..1024 {
                // The next mapping lies a page lower.
                // SAFETY: a new mapping, at an address that the kernel chooses.
                unsafe { mmap_anonymous(None, page, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) }
                    .unwrap();
                let ring = Ring::<[u8]>::open_with(&name, &reserved).unwrap();
                assert_eq!(guarded(2 << 20).len(), 2, "{ring:?}");
            }
        });
    });
}

#[test]
fn rings_of_reserved_huge_pages_are_rings_like_others() {
    with_huge_pages(6, || {
        let options = Options::new()
            .capacity(1 << 17)
            .huge_pages(HugePages::Reserved);
        let use_it = |ring: &Ring<u64>| {
            let stat = ring.memory_stat().unwrap();
            assert_eq!(stat.huge, 2 * (2 << 20), "two of 2 MiB");
            let again = ring.reopen().unwrap();
            let mut producer = ring.producer().unwrap();
            let mut consumer = again.consumer().unwrap();
            assert!(ring.producer().is_err());
            for number in 0..1 << 17 {
                producer.push(&number).unwrap();
            }
            assert!(producer.try_push(&0).is_err());
            assert!((0..1 << 17).all(|number| consumer.pop() == Ok(number)));
        };
        use_it(&Ring::create_with("memfd:", &options).unwrap());
        within(Place::SystemV, || {
            let name = Name::new("ring");
            use_it(&Ring::create_with(&name, &options).unwrap());
            Ring::<u64>::open_with(&name, &options).unwrap();
        });
        let small = Name::new("ring");
        Ring::<u64>::create(&small, 1 << 17).unwrap();
        let refused = Ring::<u64>::open_with(&small, &options).unwrap_err();
        assert!(matches!(refused, OpenError::NotHuge), "{refused}");
        let Some(directory) = hugetlbfs() else {
            return skip("no hugetlbfs is mounted");
        };
        let name = format!("file:{directory}/slipring-test-{}", std::process::id());
        let made = Ring::create_with(&name, &options);
        let opened = made.as_ref().ok().map(|_| Ring::<u64>::open(&name));
        let _ = slipring::unlink(&name);
        use_it(&made.unwrap());
        use_it(&opened.unwrap().unwrap());
    });
}

fn hugetlbfs() -> Option<String> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mut mounts = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    mounts
        .find(|mount| mount[2] == "hugetlbfs")
        .map(|mount| mount[1].into())
}

#[test]
fn a_ring_of_another_owner_is_refused_before_it_is_looked_at() {
    // SAFETY: takes nothing and can't fail.
    let own = unsafe { nix::libc::geteuid() };
    let other = own + 1;
    everywhere(|name| {
        let ring = create(name, &large().owner(own)).unwrap();
        assert_eq!(ring.memory_stat().unwrap().owner, own);
        let open = |owner| match ring.descriptor() {
            Some(descriptor) if name == "memfd:" => {
                Ring::<[u8]>::from_fd_with(descriptor, &Options::new().owner(owner))
            }
            _ => Ring::<[u8]>::open_with(name, &Options::new().owner(owner)),
        };
        open(own).unwrap();
        let refused = open(other).unwrap_err();
        let told = matches!(refused, OpenError::Owner { expected, found, .. } if (expected, found) == (other, own));
        assert!(told, "{refused}");
    });
    // What is no ring at all is somebody else's first of all.
    let name = Name::new("ring");
    fs::write(name.path(), [0; 8192]).unwrap();
    let refused = Ring::<u64>::open_with(&name, &Options::new().owner(other)).unwrap_err();
    assert!(matches!(refused, OpenError::Owner { .. }), "{refused}");
}

#[test]
fn a_ring_is_given_to_another_owner_by_who_may() {
    if !is_root() {
        return skip("only root may do what it needs");
    }
    everywhere(|name| {
        let ring = create(name, &large().owner(65534)).unwrap();
        assert_eq!(ring.memory_stat().unwrap().owner, 65534, "{name}");
        fork_child(|| {
            // SAFETY: takes a number; this process has one thread.
            assert_eq!(unsafe { nix::libc::setuid(65534) }, 0);
            if name.starts_with("file:") {
                return;
            }
            let own = match ring.descriptor() {
                Some(descriptor) if name == "memfd:" => Ring::<[u8]>::from_fd(descriptor),
                _ => Ring::<[u8]>::open(name),
            };
            own.unwrap().producer().unwrap().push(b"mine").unwrap();
        })
        .finish();
    });
    let name = Name::new("ring");
    fork_child(|| {
        // SAFETY: takes a number; this process has one thread.
        assert_eq!(unsafe { nix::libc::setuid(65534) }, 0);
        let refused = create(&name, &large().owner(0)).unwrap_err();
        assert!(
            matches!(refused, CreateError::Owner { asked: 0, .. }),
            "{refused}"
        );
    })
    .finish();
    assert!(!name.path().exists());
}

fn a_name_goes_with_the_last_participant<P: Protocol>() {
    for place in PLACES {
        within(place, || {
            let name = Name::new("ring");
            let name = &*name;
            let options = Options::new().capacity(4).unlink_when_left(true);
            let ring = slipring::Ring::<u64, P>::create_with(name, &options).unwrap();
            let is_there = || slipring::Ring::<u64, P>::open(name).is_ok();
            let producer = ring.producer().unwrap();
            let consumer = ring.consumer().unwrap();
            drop(producer);
            assert!(is_there(), "the consumer is left");
            let mut producer = slipring::Ring::<u64, P>::open(name)
                .unwrap()
                .producer()
                .unwrap();
            drop(consumer);
            assert!(is_there(), "the producer is left");
            producer.push(&7).unwrap();
            // A death is no leaving.
            fork_child(|| {
                let ring = slipring::Ring::<u64, P>::open(name).unwrap();
                let _consumer = ring.consumer().unwrap();
                support::kill_process(std::process::id());
            })
            .reap();
            assert!(is_there());
            let opened = slipring::Ring::<u64, P>::open(name).unwrap();
            drop(producer);
            assert!(!is_there(), "{name}");
            // Who had it open is not left alone in a ring that nobody finds.
            let ended = opened.producer().unwrap().push(&8);
            assert_eq!(ended, Err(PushError::Disconnected(Disconnected::Closed)));
            let other = slipring::Ring::<u64, P>::create(name, 8).unwrap();
            drop(ring.consumer());
            assert!(is_there(), "the name is another ring's");
            assert!(other.is_empty());
        });
    }
}

#[test]
fn the_name_of_an_spsc_ring_goes_with_the_last_participant() {
    a_name_goes_with_the_last_participant::<slipring::Spsc>();
}

#[test]
fn the_name_of_an_mpmc_ring_goes_with_the_last_participant() {
    a_name_goes_with_the_last_participant::<slipring::Mpmc>();
}

#[test]
fn whether_the_name_goes_is_a_property_of_the_ring() {
    let name = Name::new("ring");
    let goes = |goes| Options::new().capacity(4).unlink_when_left(goes);
    mpmc::Ring::<u64>::create_with(&name, &goes(true)).unwrap();
    mpmc::Ring::<u64>::open_with(&name, &goes(true)).unwrap();
    let refused = mpmc::Ring::<u64>::open_with(&name, &goes(false)).unwrap_err();
    let told = matches!(refused, OpenError::UnlinkedWhenLeft { found: true, .. });
    assert!(told, "{refused}");
    let stays = Name::new("ring");
    mpmc::Ring::<u64>::create(&stays, 4).unwrap();
    let refused = mpmc::Ring::<u64>::open_with(&stays, &goes(true)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the ring's name stays when all have left"
    );
}
