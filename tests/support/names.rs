//! Ring names for tests: unique, and gone when the test is over, also after a panic.

use super::backings;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::{File, OpenOptions};
use std::ops::Deref;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// A name that no other test has.
#[derive(Debug)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Pids are used again, and a test that was killed leaves its names behind.
        let born = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let text = format!("slipring-test-{}-{born:x}-{count}", process::id());
        Self(backings::name(&text))
    }

    /// Where the ring's bytes are to be seen as a file.
    #[allow(dead_code, reason = "not every test file looks at the bytes")]
    pub(crate) fn path(&self) -> PathBuf {
        backings::path(&self.0)
    }

    /// The ring's bytes, as another process would get at them.
    #[allow(dead_code, reason = "not every test file looks at the bytes")]
    pub(crate) fn file(&self) -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).open(self.path()).unwrap()
    }
}

/// The bytes of a ring's object from `start` on, locked as a process that holds seats locks them,
/// until the value is dropped.
#[allow(dead_code, reason = "not every test file holds seats by hand")]
pub(crate) fn locked(name: &Name, start: i64, len: i64) -> File {
    let file = name.file();
    let lock = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: start,
        l_len: len,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    file
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // Whatever has the name by now; a test may have put something else there.
        let _ = slipring::unlink(&self.0);
    }
}
