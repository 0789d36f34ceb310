//! Unique ring names, which are removed when the test ends or panics.

use super::backings;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::{File, OpenOptions};
use std::ops::Deref;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// A name that no other test uses.
#[derive(Debug)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Process IDs are reused, and a test that was killed leaves its names behind.
        let born = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let text = format!("slipring-test-{}-{born:x}-{count}", process::id());
        Self(backings::name(&text))
    }

    /// The path at which the ring's object is a file.
    #[allow(dead_code, reason = "each test program uses some of these functions")]
    pub(crate) fn path(&self) -> PathBuf {
        backings::path(&self.0)
    }

    /// The ring's object, opened without the library.
    #[allow(dead_code, reason = "each test program uses some of these functions")]
    pub(crate) fn file(&self) -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).open(self.path()).unwrap()
    }
}

/// Locks or unlocks bytes of a ring's object, as a process that holds seats does. `kind` is
/// `F_WRLCK` or `F_UNLCK`.
#[allow(dead_code, reason = "each test program uses some of these functions")]
pub(crate) fn set_lock(file: &File, kind: i32, start: i64, len: i64) -> nix::Result<()> {
    let lock = libc::flock {
        l_type: kind as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: start,
        l_len: len,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).map(drop)
}

/// Locks `len` bytes of a ring's object from `start` on, as a process that holds seats does, until
/// the value is dropped.
#[allow(dead_code, reason = "each test program uses some of these functions")]
pub(crate) fn locked(name: &Name, start: i64, len: i64) -> File {
    let file = name.file();
    set_lock(&file, libc::F_WRLCK, start, len).unwrap();
    file
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // The test may have put another object under the name. It is removed as well.
        let _ = slipring::unlink(&self.0);
    }
}
