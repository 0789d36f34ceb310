//! The backings that have names, for tests that run with each of them.

use slipring::spsc::Ring;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each test program uses some of this file")]
pub(crate) enum BackingKind {
    SharedMemory,
    File,
    SystemV,
}

thread_local! {
    static BACKING: Cell<BackingKind> = const { Cell::new(BackingKind::SharedMemory) };
}

/// Runs `body` while all new names of this thread select one backing.
#[allow(dead_code, reason = "each test program uses some of this file")]
pub(crate) fn with_backing(backing: BackingKind, body: impl FnOnce()) {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            BACKING.set(BackingKind::SharedMemory);
        }
    }
    BACKING.set(backing);
    let _reset = Reset;
    body();
}

/// A name in the thread's backing. It contains `text`, unless it is a System V key.
pub(crate) fn name(text: &str) -> String {
    match BACKING.get() {
        BackingKind::SharedMemory => format!("/{text}"),
        BackingKind::File => format!("file:{}/{text}", directory().display()),
        BackingKind::SystemV => {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let born = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u32;
            let key = (born ^ process::id() << 16).wrapping_add(count) | 1;
            format!("sysv:{key:#x}")
        }
    }
}

/// The path at which the object with a name is a file.
pub(crate) fn path(name: &str) -> PathBuf {
    match name.strip_prefix("file:") {
        Some(path) => path.into(),
        None => {
            assert!(name.starts_with('/'), "{name} has no path");
            PathBuf::from(format!("/dev/shm{name}"))
        }
    }
}

/// A directory for rings in files: on a disk if possible.
pub(crate) fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        // Cargo sets this variable for integration tests only.
        let target = option_env!("CARGO_TARGET_TMPDIR").unwrap_or("/var/tmp");
        let candidates = [target, "/var/tmp", "/tmp", "/dev/shm"];
        let is_usable = |directory: &&str| {
            let name = format!("file:{directory}/slipring-test-{}-probe", process::id());
            let made = Ring::<u64>::create(&name, 2).is_ok();
            let _ = slipring::unlink(&name);
            made
        };
        let found = candidates.into_iter().find(is_usable);
        found
            .expect("no directory in which a ring can be created")
            .into()
    })
}
