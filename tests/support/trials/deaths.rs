//! Simulated deaths within one process: a killed participant leaves its words in the ring, and its
//! seat lock is free.

use crate::support::names::Name;
use nix::libc;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The page that holds the lock of a handle's seat.
pub(super) struct Pin {
    at: usize,
}

/// Claims a seat with `take`, and finds the page that holds its lock.
pub(super) fn pinned<R>(name: &Name, take: impl FnOnce() -> R) -> (R, Pin) {
    let before = pins(name);
    let taken = take();
    let after = pins(name);
    let mut new = after.into_iter().filter(|at| !before.contains(at));
    let at = new.next().expect("a page that holds the seat's lock");
    assert!(new.next().is_none(), "one page for each seat");
    (taken, Pin { at })
}

/// The addresses of all pages that hold locks of a ring: shared mappings without access.
fn pins(name: &Name) -> Vec<usize> {
    let inode = fs::metadata(name.path()).unwrap().ino().to_string();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let of_ring = maps.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let range = words.next()?;
        let is_pin = words.next() == Some("---s") && words.nth(2) == Some(&inode);
        let (start, _) = range.split_once('-')?;
        is_pin.then(|| usize::from_str_radix(start, 16).unwrap())
    });
    of_ring.collect()
}

impl Pin {
    /// Makes the kernel release the lock, as it does when a process dies. The address range stays
    /// mapped, so that the handle, which must be kept until the end of the trial, does not unmap
    /// another mapping.
    pub(super) fn tear_out(self) {
        let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: the page belongs to the lock alone, and is never accessed.
        let page = unsafe {
            libc::mmap(
                self.at as *mut libc::c_void,
                4096,
                libc::PROT_NONE,
                flags,
                -1,
                0,
            )
        };
        assert_eq!(page as usize, self.at);
    }
}
