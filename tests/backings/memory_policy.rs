//! Memory options of a ring: locked memory, prefault, huge pages, and guard pages. Also the owner
//! of a ring, and the removal of its name.

use crate::support;
use crate::support::backings::{BackingKind, with_backing};
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

const BACKINGS: [BackingKind; 3] = [
    BackingKind::SharedMemory,
    BackingKind::File,
    BackingKind::SystemV,
];

/// Runs `body` for a name in each backing that has names, and once for a memfd.
fn on_all_backings(body: impl Fn(&str)) {
    for backing in BACKINGS {
        with_backing(backing, || body(&Name::new("ring")));
    }
    body("memfd:");
}

/// Options of a ring of 17 pages, one of which is the header.
fn large() -> Options {
    Options::new().capacity(15).message_size(4088)
}

fn create(name: &str, options: &Options) -> Result<slipring::spsc::Ring<[u8]>, CreateError> {
    Ring::create_with(name, options)
}

#[test]
fn lock_memory_locks_every_page_or_returns_error() {
    on_all_backings(|name| {
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
    on_all_backings(|name| {
        if !is_root() {
            return skip("this test needs root");
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
fn prefault_makes_every_page_resident_on_all_backings() {
    on_all_backings(|name| {
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

/// The addresses of this process's mappings of `size` bytes that lie between two guard pages.
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
fn access_next_to_mapping_raises_sigsegv() {
    on_all_backings(|name| {
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
                // SAFETY: none. The access must end the process; the test checks that it does.
                unsafe { at.read_volatile() };
            });
            let ended = child.reap();
            let killed = matches!(ended, WaitStatus::Signaled(_, Signal::SIGSEGV, _));
            assert!(killed, "{ended:?}");
        }
    });
}

#[test]
fn advised_huge_pages_create_usable_ring_and_are_reported() {
    on_all_backings(|name| {
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

/// Held by the test that changes the number of huge pages of the machine.
static HUGE_PAGES: Mutex<()> = Mutex::new(());
const RESERVED_PAGES: &str = "/proc/sys/vm/nr_hugepages";

/// Runs `body` while the machine has `more` additional huge pages, if it can reserve them.
fn with_huge_pages(more: u64, body: impl FnOnce()) {
    struct Restore(String);
    impl Drop for Restore {
        fn drop(&mut self) {
            fs::write(RESERVED_PAGES, &self.0).unwrap();
        }
    }
    let _lock = HUGE_PAGES
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let Ok(before) = fs::read_to_string(RESERVED_PAGES) else {
        return skip("this kernel has no huge pages");
    };
    let wanted = before.trim().parse::<u64>().unwrap() + more;
    let restore = Restore(before);
    if more > 0 && fs::write(RESERVED_PAGES, wanted.to_string()).is_err() {
        std::mem::forget(restore);
        return skip("only root may reserve huge pages");
    }
    let got = fs::read_to_string(RESERVED_PAGES).unwrap();
    if got.trim().parse::<u64>().unwrap() < wanted {
        return skip("the machine cannot reserve huge pages");
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
fn create_without_free_huge_pages_is_refused() {
    with_huge_pages(0, || {
        if free_huge_pages() > 0 {
            return skip("the machine has free huge pages");
        }
        let options = large().huge_pages(HugePages::Reserved);
        for backing in [BackingKind::SystemV, BackingKind::SharedMemory] {
            with_backing(backing, || {
                let name = Name::new("ring");
                let refused = create(&name, &options).unwrap_err();
                match backing {
                    BackingKind::SystemV => {
                        let is_expected =
                            matches!(refused, CreateError::NoHugePages { needed: 1, .. });
                        assert!(is_expected, "{refused}");
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
fn file_size_limit_error_covers_huge_page_rounding() {
    fork_child(|| {
        // The limit lies between the size of the ring and the size of its huge pages.
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
fn open_detects_huge_page_segment_at_any_address() {
    with_huge_pages(1, || {
        with_backing(BackingKind::SystemV, || {
            let name = Name::new("ring");
            let options = large().huge_pages(HugePages::Reserved);
            let _ring = create(&name, &options).unwrap();
            let reserved = Options::new().huge_pages(HugePages::Reserved);
            let page = NonZeroUsize::new(4096).unwrap();
            for _ in 0..1024 {
                // Each extra page moves the next mapping to a different address.
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
fn reserved_huge_page_ring_behaves_like_other_rings() {
    with_huge_pages(6, || {
        let options = Options::new()
            .capacity(1 << 17)
            .huge_pages(HugePages::Reserved);
        let check_ring = |ring: &Ring<u64>| {
            let stat = ring.memory_stat().unwrap();
            assert_eq!(stat.huge, 2 * (2 << 20), "two pages of 2 MiB");
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
        check_ring(&Ring::create_with("memfd:", &options).unwrap());
        with_backing(BackingKind::SystemV, || {
            let name = Name::new("ring");
            check_ring(&Ring::create_with(&name, &options).unwrap());
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
        check_ring(&made.unwrap());
        check_ring(&opened.unwrap().unwrap());
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
fn owner_mismatch_is_refused_before_contents_are_checked() {
    // SAFETY: takes nothing and can't fail.
    let own = unsafe { nix::libc::geteuid() };
    let other = own + 1;
    on_all_backings(|name| {
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
        let is_expected = matches!(
            refused,
            OpenError::Owner { expected, found, .. } if (expected, found) == (other, own)
        );
        assert!(is_expected, "{refused}");
    });
    // The owner is checked before the contents: this file is not a ring.
    let name = Name::new("ring");
    fs::write(name.path(), [0; 8192]).unwrap();
    let refused = Ring::<u64>::open_with(&name, &Options::new().owner(other)).unwrap_err();
    assert!(matches!(refused, OpenError::Owner { .. }), "{refused}");
}

#[test]
fn create_with_other_owner_requires_privilege() {
    if !is_root() {
        return skip("this test needs root");
    }
    on_all_backings(|name| {
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

fn name_is_removed_with_last_participant<P: Protocol>() {
    for backing in BACKINGS {
        with_backing(backing, || {
            let name = Name::new("ring");
            let name = &*name;
            let options = Options::new().capacity(4).unlink_when_left(true);
            let ring = slipring::Ring::<u64, P>::create_with(name, &options).unwrap();
            let is_named = || slipring::Ring::<u64, P>::open(name).is_ok();
            let producer = ring.producer().unwrap();
            let consumer = ring.consumer().unwrap();
            drop(producer);
            assert!(is_named(), "the consumer is still attached");
            let mut producer = slipring::Ring::<u64, P>::open(name)
                .unwrap()
                .producer()
                .unwrap();
            drop(consumer);
            assert!(is_named(), "the producer is still attached");
            producer.push(&7).unwrap();
            // The death of a participant is not a detach: the name stays.
            fork_child(|| {
                let ring = slipring::Ring::<u64, P>::open(name).unwrap();
                let _consumer = ring.consumer().unwrap();
                support::kill_process(std::process::id());
            })
            .reap();
            assert!(is_named());
            let opened = slipring::Ring::<u64, P>::open(name).unwrap();
            drop(producer);
            assert!(!is_named(), "{name}");
            // The ring is closed, so a process that has it open does not wait for peers that cannot
            // find it.
            let ended = opened.producer().unwrap().push(&8);
            assert_eq!(ended, Err(PushError::Disconnected(Disconnected::Closed)));
            let other = slipring::Ring::<u64, P>::create(name, 8).unwrap();
            drop(ring.consumer());
            assert!(is_named(), "the name belongs to another ring");
            assert!(other.is_empty());
        });
    }
}

#[test]
fn spsc_name_is_removed_with_last_participant() {
    name_is_removed_with_last_participant::<slipring::Spsc>();
}

#[test]
fn mpmc_name_is_removed_with_last_participant() {
    name_is_removed_with_last_participant::<slipring::Mpmc>();
}

#[test]
fn open_with_other_unlink_when_left_is_refused() {
    let name = Name::new("ring");
    let unlinked = |unlinked| Options::new().capacity(4).unlink_when_left(unlinked);
    mpmc::Ring::<u64>::create_with(&name, &unlinked(true)).unwrap();
    mpmc::Ring::<u64>::open_with(&name, &unlinked(true)).unwrap();
    let refused = mpmc::Ring::<u64>::open_with(&name, &unlinked(false)).unwrap_err();
    let is_expected = matches!(refused, OpenError::UnlinkedWhenLeft { found: true, .. });
    assert!(is_expected, "{refused}");
    let kept = Name::new("ring");
    mpmc::Ring::<u64>::create(&kept, 4).unwrap();
    let refused = mpmc::Ring::<u64>::open_with(&kept, &unlinked(true)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the ring's name stays when all have left"
    );
}
