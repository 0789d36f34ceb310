//! Support that the test programs share: ring names that are removed after the test, peer processes
//! that can be killed, and shared words in which processes record their progress.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test program uses some of these modules"
)]

#[macro_use]
pub(crate) mod error_text;
#[macro_use]
pub(crate) mod kinds;

pub(crate) mod backings;
pub(crate) mod holders;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) mod kill_points;
pub(crate) mod names;
pub(crate) mod numbers;
pub(crate) mod own_process;
mod peer;
pub(crate) mod resources;
pub(crate) mod ring_layout;
pub(crate) mod seccomp;
mod shared_words;
pub(crate) mod storm;
pub(crate) mod strace;
pub(crate) mod time_limit;
pub(crate) mod wait_strategies;

pub(crate) use self::names::set_lock;
pub(crate) use self::peer::{
    Forked, Peer, Role, fork_child, fork_orphan, is_asleep, kill_process, role, start,
    start_foreign, start_under, state_of, thread_id,
};
pub(crate) use self::shared_words::{HeaderPage, SharedWords};
pub(crate) use self::wait_strategies::ASLEEP_AT_ONCE;

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use std::{fmt, fs, process, thread};

/// The time limit of a single wait. A test that exceeds it is stuck.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The time limit of a whole test. It is longer than that of a single wait, so that a wait that is
/// stuck fails first, with a message that names what it waits for.
const WATCH: Duration = TIME_LIMIT.saturating_mul(3);

/// A liveness interval that is longer than any test.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// The names to remove before a stuck test program exits.
static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A name that is unique to one test, and is removed when the test ends or panics. A watchdog ends
/// the test program if the name exists for longer than the time limit.
pub(crate) struct Name {
    text: String,
    _watchdog: Sender<()>,
}

impl Name {
    pub(crate) fn new(label: &str) -> Self {
        Self::made(label, WATCH, backings::name)
    }

    /// A name with a time limit that is `times` as long.
    pub(crate) fn lasting(label: &str, times: u32) -> Self {
        Self::made(label, WATCH * times, backings::name)
    }

    /// A name in `/dev/shm`, whatever backing the test uses for rings.
    pub(crate) fn in_memory(label: &str) -> Self {
        Self::made(label, WATCH, |text| format!("/{text}"))
    }

    fn made(label: &str, patience: Duration, form: impl FnOnce(&str) -> String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let text = form(&format!("slipring-test-{label}-{}-{count}", process::id()));
        NAMES.lock().unwrap().push(text.clone());
        let (watchdog, silence) = mpsc::channel::<()>();
        let watched = text.clone();
        thread::spawn(move || {
            if silence.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                // The capture of test output would swallow an eprintln.
                let _ = writeln!(
                    io::stderr(),
                    "stuck for {patience:?}: the test with {watched}"
                );
                for name in NAMES.lock().unwrap().iter() {
                    let _ = slipring::unlink(name);
                }
                process::exit(101);
            }
        });
        Self {
            text,
            _watchdog: watchdog,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        backings::path(&self.text)
    }

    /// The ring's object, opened without the library.
    pub(crate) fn file(&self) -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).open(self.path()).unwrap()
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // The test may have removed the name already.
        let _ = slipring::unlink(&self.text);
        if let Ok(mut names) = NAMES.lock() {
            names.retain(|name| *name != self.text);
        }
    }
}

/// Polls until `happened` returns true. Panics after the time limit.
pub(crate) fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut looks = 0_u32;
    while !happened() {
        assert!(
            start.elapsed() < TIME_LIMIT,
            "timed out while waiting until {what}"
        );
        looks += 1;
        if looks < 1000 {
            thread::yield_now();
        } else {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Runs `call`, which must block, in a thread of its own. Runs `action` as soon as that thread
/// sleeps, and returns the result of the call.
pub(crate) fn while_asleep<R: Send>(call: impl FnOnce() -> R + Send, action: impl FnOnce()) -> R {
    let thread = AtomicU32::new(0);
    thread::scope(|scope| {
        let blocked = scope.spawn(|| {
            thread.store(thread_id(), Ordering::SeqCst);
            call()
        });
        until("the call sleeps", || {
            is_asleep(process::id(), thread.load(Ordering::SeqCst))
        });
        action();
        blocked.join().unwrap()
    })
}

/// Prints why a test was skipped.
pub(crate) fn skip(why: &str) {
    let this = thread::current();
    println!("skipped {}: {why}", this.name().unwrap_or("a test"));
}

pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { nix::libc::geteuid() == 0 }
}

/// Mounts a file system. Requires root and a mount namespace of the process's own.
pub(crate) fn mount(source: &str, target: &str, kind: &str, flags: u64, data: &str) {
    let mounted = try_mount(source, target, kind, flags, data);
    assert!(mounted, "mount {target}: {}", io::Error::last_os_error());
}

pub(crate) fn try_mount(source: &str, target: &str, kind: &str, flags: u64, data: &str) -> bool {
    let [source, target, kind, data] =
        [source, target, kind, data].map(|text| CString::new(text).unwrap());
    // SAFETY: all strings outlive the call.
    let failed = unsafe {
        nix::libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            data.as_ptr().cast(),
        )
    };
    failed == 0
}

/// The start and length of each mapping of an object in this process. Mappings are found by inode,
/// because the creator's mapping does not show the name.
pub(crate) fn mappings_of(name: &Name) -> Vec<(usize, usize)> {
    let path = name.path();
    let inode = fs::metadata(&path).unwrap().ino().to_string();
    let directory = format!(" {}/", path.parent().unwrap().display());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let of_object = maps.lines().filter(|line| {
        line.contains(&directory) && line.split_ascii_whitespace().nth(4) == Some(&inode)
    });
    of_object
        .map(|line| {
            let (range, _) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).unwrap());
            (start, end - start)
        })
        .collect()
}

/// The descriptors of an object in this process, as paths in `/proc/self/fd`.
pub(crate) fn descriptors_of(name: &Name) -> Vec<PathBuf> {
    let object = fs::metadata(name.path()).unwrap();
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| {
            fs::metadata(path)
                .is_ok_and(|found| found.ino() == object.ino() && found.dev() == object.dev())
        })
        .collect()
}

/// The number of mappings and of descriptors of an object in this process.
pub(crate) fn mapping_and_descriptor_counts(name: &Name) -> (usize, usize) {
    (mappings_of(name).len(), descriptors_of(name).len())
}

/// A pseudorandom number generator. The same seed gives the same numbers.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    /// Spins for a random time of at most `most`, without yielding the processor.
    pub(crate) fn spin(&mut self, most: Duration) {
        let time = Duration::from_nanos(self.below(most.as_nanos() as u64 + 1));
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}
