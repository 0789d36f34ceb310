//! The descriptors and mappings that a process holds for a ring, and when it releases them.

use crate::support::kinds::{kind, one_of_each};
use crate::support::names::Name;
use crate::support::own_process::in_own_process;
use slipring::error::AttachError;
use slipring::{Options, Peer, Protocol, Ring, Spsc};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

for_each_kind! {
    memory:
        dropped_rings_leave_no_descriptor_or_mapping
    ;
    memory_and_files:
        ring_descriptors_are_close_on_exec
        replaced_descriptor_is_neither_trusted_nor_closed
    ;
}

/// The numbers of this process's descriptors of the file with a name.
fn descriptors(name: &Name) -> Vec<i32> {
    let file = fs::metadata(name.path()).unwrap();
    let is_of_file = |number: &i32| {
        fs::metadata(format!("/proc/self/fd/{number}"))
            .is_ok_and(|found| (found.dev(), found.ino()) == (file.dev(), file.ino()))
    };
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let numbers = entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse());
    numbers.map(Result::unwrap).filter(is_of_file).collect()
}

#[test]
fn prefault_on_open_makes_every_page_resident() {
    let name = Name::new();
    let ring = Ring::<[u8], Spsc>::create_bytes(&name, 256, 8184).unwrap();
    drop(ring);
    let size = fs::metadata(name.path()).unwrap().len() / 1024;
    let _ring = Ring::<[u8], Spsc>::open_with(&name, &Options::new().prefault(true)).unwrap();
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let (_, after_name) = maps.split_once(&*name).unwrap();
    let kilobytes = |field: &str| -> u64 {
        let line = after_name
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    };
    assert_eq!((kilobytes("Size:"), kilobytes("Rss:")), (size, size));
}

fn dropped_rings_leave_no_descriptor_or_mapping<P: Protocol>() {
    in_own_process(
        &format!(
            "{}::dropped_rings_leave_no_descriptor_or_mapping",
            kind::<P>()
        ),
        || {
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
                let ring =
                    Ring::<u64, P>::create_with(&name, &one_of_each::<P>().capacity(4)).unwrap();
                let reopened = Ring::<u64, P>::open(&name).unwrap();
                let handles = (ring.producer().unwrap(), reopened.consumer().unwrap());
                assert_eq!(
                    open(),
                    open_before + 2,
                    "one for each ring, none for its handles"
                );
                assert!(Ring::<u64, P>::create(&name, 4).is_err());
                assert!(Ring::<u32, P>::open(&name).is_err());
                assert!(ring.producer().is_err() && reopened.consumer().is_err());
                assert_eq!(open(), open_before + 2);
                assert_eq!(maps(), maps_before + 4);
                drop((ring, reopened));
                drop(handles);
                assert_eq!((open(), maps()), (open_before, maps_before));
            }
        },
    );
}

fn ring_descriptors_are_close_on_exec<P: Protocol>() {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let reopened = Ring::<u64, P>::open(&name).unwrap();
    let _handles = (ring.producer().unwrap(), reopened.consumer().unwrap());
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

fn replaced_descriptor_is_neither_trusted_nor_closed<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
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
    // The producer may be unable to learn of the detach. An answer about the locks of /dev/null
    // must not change its result.
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    assert!(matches!(ring.consumer(), Err(AttachError::System(_))));
    drop((ring, producer));
    let link = fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
    assert_eq!(link.to_str(), Some("/dev/null"));
    // SAFETY: close takes a number. Only the copy made above uses it.
    unsafe { nix::libc::close(number) };
}
