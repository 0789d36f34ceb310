//! Deaths without processes: what a kill leaves of a handle is its words in the ring and a lock that is
//! free.

use crate::support::names::Name;
use nix::libc;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The page that holds the lock of a handle's seat.
pub(super) struct Pin {
    at: usize,
}

/// Takes a seat by `take`, and finds what holds its lock.
pub(super) fn pinned<R>(name: &Name, take: impl FnOnce() -> R) -> (R, Pin) {
    let before = pins(name);
    let taken = take();
    let after = pins(name);
    let mut new = after.into_iter().filter(|at| !before.contains(at));
    let at = new.next().expect("a page that holds the seat's lock");
    assert!(new.next().is_none(), "one page for each seat");
    (taken, Pin { at })
}

/// All pages that hold locks of a ring: shared, and not to be accessed.
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
    /// Has the kernel free the lock, as it does when it tears a process down. The address stays taken, so that the
    /// handle, which is to be kept until all is over, unmaps nothing of anybody else's.
    pub(super) fn tear_out(self) {
        let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a page that belongs to the lock alone, and that nobody accesses.
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
