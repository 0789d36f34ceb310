//! Finding rings, and classifying an object that may be one.

use super::failure::Failure;
use procfs::{Current, SharedMemorySegments};
use slipring::error::OpenError;
use slipring::{Backing, Observer, Snapshot};
use std::fs;

/// What an object turned out to be.
pub(crate) enum Finding {
    Ring(Box<Snapshot>),
    /// A ring that is damaged, or that this version cannot use, for the reason.
    Broken(String),
    /// Perhaps a ring. It cannot be read, for the reason.
    Unreadable(String),
    /// No object, or one that is not a ring.
    Other,
}

/// All named objects that may be rings.
pub(crate) fn candidates() -> Vec<Backing> {
    let mut found = posix_objects();
    found.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    found.extend(sysv_segments());
    found
}

pub(crate) fn named_or_all(named: &[Backing]) -> Vec<Backing> {
    match named {
        [] => candidates(),
        named => named.to_vec(),
    }
}

fn posix_objects() -> Vec<Backing> {
    let entries = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| Backing::posix(&format!("/{name}")).ok())
        .collect()
}

fn sysv_segments() -> Vec<Backing> {
    let Ok(SharedMemorySegments(segments)) = SharedMemorySegments::current() else {
        return Vec::new();
    };
    let backings = segments
        .into_iter()
        .filter_map(|segment| match segment.key {
            0 => format!("sysv:id:{}", segment.shmid).parse().ok(),
            key => Backing::sysv(key as u32).ok(),
        });
    backings.collect()
}

pub(crate) fn inspect(ring: &Backing) -> Finding {
    let broken = |error: &dyn ToString| Finding::Broken(error.to_string());
    match Observer::open(ring) {
        Ok(observer) => match observer.snapshot() {
            Ok(snapshot) => Finding::Ring(Box::new(snapshot)),
            Err(error) => broken(&error),
        },
        Err(
            error @ (OpenError::Version { .. }
            | OpenError::UnknownFlags { .. }
            | OpenError::Truncated { .. }
            | OpenError::Inconsistent { .. }
            | OpenError::Unfinished { .. }),
        ) => broken(&error),
        Err(OpenError::Permission { .. }) => Finding::Unreadable("no permission".into()),
        Err(OpenError::System(error)) => Finding::Unreadable(error.to_string()),
        Err(_) => Finding::Other,
    }
}

pub(crate) fn open(ring: &Backing) -> Result<Observer, Failure> {
    Observer::open(ring).map_err(|error| Failure::open(ring, &error))
}

pub(crate) fn snapshot(ring: &Backing, observer: &Observer) -> Result<Snapshot, Failure> {
    let snapshot = observer.snapshot();
    snapshot.map_err(|error| Failure::of(ring, error))
}
