//! Parts that `send` and `recv` share: opening or creating the ring, and waiting with a deadline.

use super::args::Transfer;
use super::failure::Failure;
use super::{discover, summary};
use slipring::error::{CreateError, OpenError};
use slipring::{Backing, Kind, Observer, Occupancy, Options, Role, Snapshot, mpmc, spsc};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait between two checks whether to end.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) struct OpenedRing {
    pub(crate) ring: Ring,
    pub(crate) observer: Observer,
    /// The ring before this process attached.
    pub(crate) before: Snapshot,
}

impl OpenedRing {
    /// Whether the ring is removed when the last participant leaves.
    pub(crate) fn is_temporary(&self) -> bool {
        self.before.unlink_when_left
    }

    /// Whether a seat of the role had a live holder when this process opened the ring, or has had a
    /// new holder since.
    ///
    /// Holders that ended earlier do not count.
    pub(crate) fn was_attached(&self, role: Role, ring: &Backing) -> Result<bool, Failure> {
        let was_alive = summary::seat_count(&self.before, role, Occupancy::Alive) > 0;
        let now = discover::snapshot(ring, &self.observer)?;
        let holders = |snapshot: &Snapshot| -> u64 {
            let holders = snapshot.seats_of(role).map(|seat| u64::from(seat.holders));
            holders.sum()
        };
        Ok(was_alive || holders(&now) != holders(&self.before))
    }
}

pub(crate) enum Ring {
    Spsc(spsc::Ring<[u8]>),
    Mpmc(mpmc::Ring<[u8]>),
}

/// Opens the ring, or creates one that is removed when both sides have left.
pub(crate) fn open_or_create(args: &Transfer) -> Result<OpenedRing, Failure> {
    /// Limit for the case that other processes repeatedly remove and create the ring.
    const TRIES: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(1);
    let ring = &args.ring;
    if ring.as_str() == "memfd:" {
        return Err(Failure::of(
            ring,
            "no other process can open a new memfd: use /name or file:/path",
        ));
    }
    for _ in 0..TRIES {
        let observer = match Observer::open(ring) {
            Ok(observer) => observer,
            Err(OpenError::NotFound { .. } | OpenError::Unfinished { .. }) => {
                create(args)?;
                thread::sleep(PAUSE);
                continue;
            }
            Err(error) => return Err(Failure::open(ring, &error)),
        };
        let before = discover::snapshot(ring, &observer)?;
        let opened = match before.kind {
            Kind::Mpmc => mpmc::Ring::open(ring).map(Ring::Mpmc),
            _ => spsc::Ring::open(ring).map(Ring::Spsc),
        };
        match opened {
            Ok(ring) => {
                return Ok(OpenedRing {
                    ring,
                    observer,
                    before,
                });
            }
            Err(OpenError::NotFound { .. }) => {}
            Err(error) => return Err(Failure::open(ring, &error)),
        }
    }
    Err(Failure::of(
        ring,
        "other processes create and remove it repeatedly",
    ))
}

/// Creates a ring, unless another process just did.
fn create(args: &Transfer) -> Result<(), Failure> {
    let options = Options::new()
        .capacity(args.size.capacity)
        .message_size(args.size.message_size)
        .unlink_when_left(true);
    match spsc::Ring::<[u8]>::create_with(&args.ring, &options) {
        Ok(_) | Err(CreateError::Exists { .. }) => Ok(()),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

/// The time at which to give up, if any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// A time beyond the range of the clock is no deadline.
    pub(crate) fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    pub(crate) fn is_over(self) -> bool {
        self.0.is_some_and(|end| Instant::now() >= end)
    }

    /// The time to wait before the next check.
    pub(crate) fn wait(self) -> Duration {
        self.0.map_or(CHECK_INTERVAL, |end| {
            end.saturating_duration_since(Instant::now())
                .min(CHECK_INTERVAL)
        })
    }
}
