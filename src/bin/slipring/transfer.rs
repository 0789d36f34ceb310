//! What sending and receiving have in common: finding or making the ring, and waiting with an end in sight.

use super::args::Transfer;
use super::failure::Failure;
use super::rings;
use slipring::error::{CreateError, OpenError};
use slipring::{Backing, Kind, Observer, Occupancy, Options, Role, Snapshot, mpmc, spsc};
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait between two looks at whether to end.
const SLICE: Duration = Duration::from_millis(100);

pub(crate) struct Joined {
    pub(crate) ring: Ring,
    pub(crate) observer: Observer,
    /// The ring before this process has taken part.
    pub(crate) before: Snapshot,
}

impl Joined {
    /// Whether the ring goes when all have left.
    pub(crate) fn is_temporary(&self) -> bool {
        self.before.unlink_when_left
    }

    /// Whether anybody of a role was there when this process came, or has come since: how those ended who were
    /// there before says nothing.
    pub(crate) fn has_come(&self, role: Role, ring: &Backing) -> Result<bool, Failure> {
        let was_there = rings::count(&self.before, role, Occupancy::Alive) > 0;
        let now = rings::snapshot(ring, &self.observer)?;
        let stays = |snapshot: &Snapshot| -> u64 {
            let stays = snapshot.seats_of(role).map(|seat| u64::from(seat.holders));
            stays.sum()
        };
        Ok(was_there || stays(&now) != stays(&self.before))
    }
}

pub(crate) enum Ring {
    Spsc(spsc::Ring<[u8]>),
    Mpmc(mpmc::Ring<[u8]>),
}

/// Opens the ring, or makes one that goes with both sides.
pub(crate) fn join(asked: &Transfer) -> Result<Joined, Failure> {
    /// Times that others may remove and make the ring between two looks at it.
    const TRIES: u32 = 100;
    const A_MOMENT: Duration = Duration::from_millis(1);
    let ring = &asked.ring;
    if ring.as_str() == "memfd:" {
        return Err(Failure::of(ring, "nobody else can open a new memfd"));
    }
    for _ in 0..TRIES {
        let observer = match Observer::open(ring) {
            Ok(observer) => observer,
            Err(OpenError::NotFound { .. } | OpenError::Unfinished { .. }) => {
                make(asked)?;
                thread::sleep(A_MOMENT);
                continue;
            }
            Err(error) => return Err(Failure::open(ring, &error)),
        };
        let before = rings::snapshot(ring, &observer)?;
        let opened = match before.kind {
            Kind::Mpmc => mpmc::Ring::open(ring).map(Ring::Mpmc),
            _ => spsc::Ring::open(ring).map(Ring::Spsc),
        };
        match opened {
            Ok(ring) => {
                return Ok(Joined {
                    ring,
                    observer,
                    before,
                });
            }
            Err(OpenError::NotFound { .. }) => {}
            Err(error) => return Err(Failure::open(ring, &error)),
        }
    }
    Err(Failure::of(ring, "it comes and goes"))
}

/// Makes a ring, unless somebody else just does.
fn make(asked: &Transfer) -> Result<(), Failure> {
    let options = Options::new()
        .capacity(asked.size.capacity)
        .message_size(asked.size.message_size)
        .unlink_when_left(true);
    match spsc::Ring::<[u8]>::create_with(&asked.ring, &options) {
        Ok(_) | Err(CreateError::Exists { .. }) => Ok(()),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// A time that is too far away never comes.
    pub(crate) fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    pub(crate) fn is_over(self) -> bool {
        self.0.is_some_and(|end| Instant::now() >= end)
    }

    /// How long to wait before the next look.
    pub(crate) fn slice(self) -> Duration {
        self.0.map_or(SLICE, |end| {
            end.saturating_duration_since(Instant::now()).min(SLICE)
        })
    }
}
