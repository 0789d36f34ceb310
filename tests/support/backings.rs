//! The places that a ring can live in and that have names, for tests that run over each.

use slipring::spsc::Ring;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "not every test file goes elsewhere")]
pub(crate) enum Place {
    SharedMemory,
    File,
    SystemV,
}

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::SharedMemory) };
}

/// Runs `body` with all new names leading to one kind of place.
#[allow(dead_code, reason = "not every test file goes elsewhere")]
pub(crate) fn within(place: Place, body: impl FnOnce()) {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            PLACE.set(Place::SharedMemory);
        }
    }
    PLACE.set(place);
    let _back = Back;
    body();
}

/// A name that nothing else has, made of `text` if it can be.
pub(crate) fn name(text: &str) -> String {
    match PLACE.get() {
        Place::SharedMemory => format!("/{text}"),
        Place::File => format!("file:{}/{text}", directory().display()),
        Place::SystemV => {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let born = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u32;
            let key = (born ^ process::id() << 16).wrapping_add(count) | 1;
            format!("sysv:{key:#x}")
        }
    }
}

/// Where the bytes that have a name are to be seen as a file.
pub(crate) fn path(name: &str) -> PathBuf {
    match name.strip_prefix("file:") {
        Some(path) => path.into(),
        None => {
            assert!(name.starts_with('/'), "{name} is no file");
            PathBuf::from(format!("/dev/shm{name}"))
        }
    }
}

/// A directory in which rings can be: on a disk, if that can be had.
pub(crate) fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        // Cargo tells only tests where.
        let beside = option_env!("CARGO_TARGET_TMPDIR").unwrap_or("/var/tmp");
        let candidates = [beside, "/var/tmp", "/tmp", "/dev/shm"];
        let can_have_one = |directory: &&str| {
            let name = format!("file:{directory}/slipring-test-{}-probe", process::id());
            let made = Ring::<u64>::create(&name, 2).is_ok();
            let _ = slipring::unlink(&name);
            made
        };
        let found = candidates.into_iter().find(can_have_one);
        found.expect("a directory for rings").into()
    })
}
