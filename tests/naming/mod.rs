//! Ring names for tests: unique, and gone when the test is over, also after a panic.

use std::fs::{self, File, OpenOptions};
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
        Self(format!("/slipring-test-{}-{born:x}-{count}", process::id()))
    }

    /// Where the ring's bytes are to be seen as a file.
    #[allow(dead_code, reason = "not every test file looks at the bytes")]
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/shm{}", self.0))
    }

    /// The ring's bytes, as another process would get at them.
    #[allow(dead_code, reason = "not every test file looks at the bytes")]
    pub(crate) fn file(&self) -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).open(self.path()).unwrap()
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
        // Whatever has the name by now; a test may have put something else there.
        let _ = fs::remove_file(format!("/dev/shm{}", self.0));
    }
}
