//! What tests with several processes share: names that go away, peers that can be killed, and
//! words in which they note what they did.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test program uses a part of it"
)]

#[macro_use]
pub(crate) mod error_text;
#[macro_use]
pub(crate) mod kinds;

pub(crate) mod backings;
mod board;
pub(crate) mod holders;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) mod kill_points;
pub(crate) mod leftovers;
pub(crate) mod names;
pub(crate) mod numbers;
pub(crate) mod own_process;
mod peer;
pub(crate) mod seccomp;
pub(crate) mod storm;
pub(crate) mod tampering;
pub(crate) mod time_limit;

pub(crate) use self::board::{Board, Page};
pub(crate) use self::peer::{
    Forked, Peer, Role, fork_child, fork_orphan, is_asleep, kill_process, role, start,
    start_foreign, start_under, state_of, thread_id,
};

use std::ffi::CString;
use std::io::{self, Write};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use std::{fmt, fs, process, thread};

/// How long anything may take before the test counts as stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a whole test may take, which may have much to do: longer, so that what knows what it waits
/// for says so first.
const WATCH: Duration = PATIENCE.saturating_mul(3);

/// A liveness interval that no test lives to see the end of.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// Names to be removed if a stuck test has to be ended.
static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A name of one test's own, gone when the test is over, also by a panic. A test that has one
/// ends, one way or the other, before its watchdog loses patience.
pub(crate) struct Name {
    text: String,
    _watchdog: Sender<()>,
}

impl Name {
    pub(crate) fn new(label: &str) -> Self {
        Self::made(label, WATCH, backings::name)
    }

    /// For a test that takes `times` as long as others may.
    pub(crate) fn lasting(label: &str, times: u32) -> Self {
        Self::made(label, WATCH * times, backings::name)
    }

    /// For what is not a ring, and where rings are by default.
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
                // Not by eprintln, which a test's output capture would swallow.
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
        // Some tests remove it themselves.
        let _ = slipring::unlink(&self.text);
        if let Ok(mut names) = NAMES.lock() {
            names.retain(|name| *name != self.text);
        }
    }
}

/// Looks until `happened`, or fails.
pub(crate) fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut looks = 0_u32;
    while !happened() {
        assert!(
            start.elapsed() < PATIENCE,
            "waited in vain for this: {what}"
        );
        looks += 1;
        if looks < 1000 {
            thread::yield_now();
        } else {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Says why a test did nothing.
pub(crate) fn skip(why: &str) {
    let this = thread::current();
    println!("skipped {}: {why}", this.name().unwrap_or("a test"));
}

pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid takes nothing and can't fail.
    unsafe { nix::libc::geteuid() == 0 }
}

/// Mounts something; as root, and in a namespace of one's own.
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

/// Where the object with a name is mapped in this process: start and length. Its maker sees it
/// without the name, so the inode tells.
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

/// This process's descriptors of the object with a name.
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

/// How many mappings and descriptors of an object this process has.
pub(crate) fn traces_of(name: &Name) -> (usize, usize) {
    (mappings_of(name).len(), descriptors_of(name).len())
}

/// Numbers that look random; the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    /// Burns a random time, evenly spread below `most`, without giving up the processor.
    pub(crate) fn spin(&mut self, most: Duration) {
        let time = Duration::from_nanos(self.below(most.as_nanos() as u64 + 1));
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}
