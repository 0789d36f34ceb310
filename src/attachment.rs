//! A ring that is open in this process: what the rings of all kinds share.

mod attach;
mod end;

pub(crate) use self::end::{End, Patience};

use crate::error::{CreateError, Forked, OpenError, OpenOrCreateError, RecoverError, Recovering};
use crate::layout::{Geometry, MAX_SEATS, View, nanos};
use crate::message::{MAX_PAYLOAD, Message, Shape};
use crate::options::{Options, WaitStrategy};
use crate::recovery::{Counters, Recovery, Scene};
use crate::region::{Found, Name, Region};
use crate::ring::{MAX_CAPACITY, MIN_CAPACITY};
use crate::seat::Hold;
use crate::sync::Relaxed;
use crate::sys::clock::Instant;
use crate::sys::fork::Generation;
use crate::sys::process;
use crate::terms::{Encoding, Fences, Kind, Role};
use core::time::Duration;
use std::thread;
use std::time::SystemTime;

const DEFAULT_MODE: u32 = 0o600;
const DEFAULT_INTERVAL: Duration = Duration::from_millis(100);
const DEFAULT_SEATS: u32 = 64;

/// How long to wait for another process that does something that takes microseconds, unless it is
/// stopped or killed just there.
const A_MOMENT: Duration = Duration::from_millis(1);
/// How long such a process may be kept from going on by nothing but a busy machine.
const A_WHILE: Duration = Duration::from_secs(1);
/// How long to wait for it whatever the liveness interval is.
const A_LONG_WHILE: Duration = Duration::from_secs(10);

/// A mapped ring, its checked geometry, and how this process uses it.
#[derive(Debug)]
pub(crate) struct Attachment {
    view: View,
    geometry: Geometry,
    wait: WaitStrategy,
    opened_in: Generation,
    region: Region,
}

impl Attachment {
    pub(crate) fn create<M: Message + ?Sized>(
        name: &str,
        kind: Kind,
        options: &Options,
    ) -> Result<Self, CreateError> {
        let name = Name::new(name)?;
        let geometry = plan::<M>(kind, options)?;
        let size = geometry.total_len();
        let mode = options.mode.unwrap_or(DEFAULT_MODE);
        let region = Region::create(&name, size, mode, options.prefault)?;
        let attachment = Self::new(region, geometry, options);
        let created_at = SystemTime::UNIX_EPOCH.elapsed().map_or(0, nanos);
        let described = geometry.describe(process::boot_id(), created_at);
        attachment.view.initialise(&geometry, described);
        attachment.region.link(&name)?;
        Ok(attachment)
    }

    pub(crate) fn open<M: Message + ?Sized>(
        name: &str,
        kind: Kind,
        options: &Options,
    ) -> Result<Self, OpenError> {
        let name = Name::new(name)?;
        let found = Found::open(&name)?;
        let geometry = Geometry::check(&found.head()?, found.size, name.as_str())?;
        compare::<M>(&geometry, found.mode, kind, options)?;
        if !geometry.fences.register() {
            return Err(OpenError::FencesUnavailable {
                found: geometry.fences,
            });
        }
        Ok(Self::new(found.map(options.prefault)?, geometry, options))
    }

    pub(crate) fn open_or_create<M: Message + ?Sized>(
        name: &str,
        kind: Kind,
        options: &Options,
    ) -> Result<Self, OpenOrCreateError> {
        /// Times that others may remove and make the name between two looks at it.
        const TRIES: u32 = 100;
        /// Enough for another process to fill in a ring that takes all the space.
        const WAITS: u32 = 20;
        const WAIT: Duration = Duration::from_millis(5);
        let mut waits = 0;
        let mut last = Self::open::<M>(name, kind, options).map_err(OpenOrCreateError::from);
        for _ in 0..TRIES {
            last = match last {
                Err(OpenOrCreateError::Open(OpenError::NotFound { .. })) => {
                    Self::create::<M>(name, kind, options).map_err(Into::into)
                }
                Err(OpenOrCreateError::Create(CreateError::Exists { .. })) => {
                    Self::open::<M>(name, kind, options).map_err(Into::into)
                }
                // Perhaps it went into the same ring, which somebody else is about to name.
                Err(OpenOrCreateError::Create(CreateError::NoSpace { .. })) if waits < WAITS => {
                    waits += 1;
                    thread::sleep(WAIT);
                    Self::open::<M>(name, kind, options).map_err(Into::into)
                }
                opened_or_refused => return opened_or_refused,
            };
        }
        last
    }

    fn new(region: Region, geometry: Geometry, options: &Options) -> Self {
        Self {
            // SAFETY: the region is as large as the geometry says, and is unmapped with the
            // attachment, which whoever copies the view keeps.
            view: unsafe { View::new(region.base(), &geometry) },
            geometry,
            wait: options.wait,
            opened_in: Generation::current(),
            region,
        }
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The ring's bytes; `None` in a forked child, where they are not mapped.
    pub(crate) fn view(&self) -> Option<&View> {
        (!self.opened_in.is_past()).then_some(&self.view)
    }

    /// Ends the ring for good: blocked calls return, in every process.
    pub(crate) fn close(&self) {
        if let Some(view) = self.view() {
            let header = view.header();
            header.status.0.closed.set();
            header.not_empty.0.notify_all();
            header.not_full.0.notify_all();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.view()
            .is_some_and(|view| view.header().status.0.closed.is_set())
    }

    pub(crate) fn capacity(&self) -> usize {
        self.geometry.capacity as usize
    }

    pub(crate) fn message_size(&self) -> usize {
        self.geometry.shape.size as usize
    }

    /// How many messages are in the ring by its hints, which lag behind.
    pub(crate) fn len(&self) -> usize {
        self.view().map_or(0, |view| {
            let header = view.header();
            // Relaxed: a count to look at, by which nothing is reached.
            let head = header.head.0.load(Relaxed);
            let tail = header.tail.0.load(Relaxed);
            within(tail.wrapping_sub(head), self.geometry.capacity)
        })
    }

    /// Until when to wait for others to finish what is over in a moment, unless they are stopped.
    fn patience(&self) -> Instant {
        let interval = self.geometry.liveness_interval;
        Instant::now().after(interval.clamp(A_WHILE, A_LONG_WHILE))
    }

    /// Recovers by hand, for nobody in particular.
    pub(crate) fn recover(&self) -> Result<Recovery, RecoverError> {
        let view = self.view().ok_or(Forked)?;
        let patience = self.patience();
        loop {
            match self.scene(view, None).watch()? {
                Ok(watch) => return Ok(watch.recover(None).0),
                Err(busy) if Instant::now() >= patience => return Err(busy.into()),
                Err(Recovering { .. }) => thread::sleep(A_MOMENT),
            }
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.view().map_or_else(Counters::default, |view| {
            let status = &view.header().status.0;
            Counters {
                recoveries: status.recoveries.load(Relaxed),
                tombstones: status.tombstones.load(Relaxed),
                redelivered: status.redelivered.load(Relaxed),
                dropped: status.dropped.load(Relaxed),
            }
        })
    }

    /// What whoever holds the seat `own` sees of the ring.
    fn scene<'a>(&'a self, view: &'a View, own: Option<&'a Hold>) -> Scene<'a> {
        Scene {
            view,
            geometry: &self.geometry,
            object: self.region.object(),
            own,
        }
    }
}

/// A difference of two hints as a number of messages. The hints are read one after the other,
/// so it may come out below zero or above the capacity.
pub(crate) fn within(difference: u64, capacity: u64) -> usize {
    match difference {
        sane if sane <= capacity => sane as usize,
        above if above <= u64::MAX / 2 => capacity as usize,
        _ => 0,
    }
}

/// The geometry of a ring that does not exist yet.
fn plan<M: Message + ?Sized>(kind: Kind, options: &Options) -> Result<Geometry, CreateError> {
    let asked = options.capacity.unwrap_or(0) as u64;
    if !(MIN_CAPACITY..=MAX_CAPACITY).contains(&asked) {
        return Err(CreateError::Capacity {
            asked,
            min: MIN_CAPACITY,
            max: MAX_CAPACITY,
        });
    }
    let liveness_interval = options.liveness_interval.unwrap_or(DEFAULT_INTERVAL);
    if liveness_interval.is_zero() {
        return Err(CreateError::LivenessInterval);
    }
    if let Some(asked) = options.mode.filter(|mode| mode & !0o177 != 0o600) {
        return Err(CreateError::Mode { asked });
    }
    Ok(Geometry {
        kind,
        fences: choose_fences(options.fences)?,
        shape: choose_shape::<M>(options)?,
        capacity: asked.next_power_of_two(),
        producers: choose_seats(kind, Role::Producer, options.producers)?,
        consumers: choose_seats(kind, Role::Consumer, options.consumers)?,
        schema: options.schema.unwrap_or(0),
        liveness_interval,
        delivery: match (kind, options.delivery) {
            (Kind::Spsc, Some(_)) => return Err(CreateError::OnlyMpmc { option: "delivery" }),
            (_, asked) => asked.unwrap_or_default(),
        },
        first_position: options.first_position,
    })
}

fn choose_seats(kind: Kind, role: Role, asked: Option<u32>) -> Result<u32, CreateError> {
    match (kind, asked) {
        (Kind::Spsc, None) => Ok(1),
        (Kind::Spsc, Some(_)) => Err(CreateError::OnlyMpmc {
            option: match role {
                Role::Producer => "producers",
                Role::Consumer => "consumers",
            },
        }),
        (Kind::Mpmc, None) => Ok(DEFAULT_SEATS),
        (Kind::Mpmc, Some(asked)) if (1..=MAX_SEATS).contains(&asked) => Ok(asked),
        (Kind::Mpmc, Some(asked)) => Err(CreateError::Seats {
            role,
            asked,
            max: MAX_SEATS,
        }),
    }
}

fn choose_shape<M: Message + ?Sized>(options: &Options) -> Result<Shape, CreateError> {
    let longest = MAX_PAYLOAD;
    let (asked, max) = match (M::shape(longest).encoding, options.message_size) {
        (Encoding::Bytes, Some(asked)) => (asked, longest),
        (Encoding::Bytes, None) => return Err(CreateError::NoMessageSize),
        (Encoding::Values, None) => return Ok(M::shape(longest)),
        (Encoding::Values, Some(asked)) => (asked, M::shape(longest).size),
    };
    match u32::try_from(asked).map(M::shape) {
        Ok(shape) if shape.size <= max && shape.size as usize == asked => Ok(shape),
        _ => Err(CreateError::MessageSize {
            asked: asked as u64,
            max: u64::from(max),
        }),
    }
}

fn choose_fences(asked: Option<Fences>) -> Result<Fences, CreateError> {
    match asked {
        Some(asked) if asked.register() => Ok(asked),
        Some(asked) => Err(CreateError::Fences { asked }),
        None if Fences::Membarrier.register() => Ok(Fences::Membarrier),
        None => Ok(Fences::Symmetric),
    }
}

/// Whether a ring that was found is what was asked for.
fn compare<M: Message + ?Sized>(
    found: &Geometry,
    found_mode: u32,
    kind: Kind,
    options: &Options,
) -> Result<(), OpenError> {
    if found.kind != kind {
        return Err(OpenError::Kind {
            expected: kind,
            found: found.kind,
        });
    }
    let shape = M::shape(found.shape.size);
    if found.shape.encoding != shape.encoding {
        return Err(OpenError::Encoding {
            expected: shape.encoding,
            found: found.shape.encoding,
        });
    }
    if found.shape.size != shape.size {
        return Err(OpenError::PayloadSize {
            expected: shape.size,
            found: found.shape.size,
        });
    }
    let asked = options
        .message_size
        .map(|size| u32::try_from(size).unwrap_or(u32::MAX));
    if let Some(expected) = asked.filter(|&size| size != found.shape.size) {
        return Err(OpenError::PayloadSize {
            expected,
            found: found.shape.size,
        });
    }
    if found.shape.align != shape.align {
        return Err(OpenError::PayloadAlign {
            expected: shape.align,
            found: found.shape.align,
        });
    }
    if let Some(expected) = options.schema.filter(|&schema| schema != found.schema) {
        return Err(OpenError::Schema {
            expected,
            found: found.schema,
        });
    }
    let capacity = options.capacity.map(|asked| {
        (asked as u64)
            .checked_next_power_of_two()
            .unwrap_or(u64::MAX)
    });
    if let Some(expected) = capacity.filter(|&capacity| capacity != found.capacity) {
        return Err(OpenError::Capacity {
            expected,
            found: found.capacity,
        });
    }
    if let Some(expected) = options
        .liveness_interval
        .filter(|&interval| nanos(interval) != nanos(found.liveness_interval))
    {
        return Err(OpenError::LivenessInterval {
            expected: nanos(expected),
            found: nanos(found.liveness_interval),
        });
    }
    for (role, asked, found) in [
        (Role::Producer, options.producers, found.producers),
        (Role::Consumer, options.consumers, found.consumers),
    ] {
        if let Some(expected) = asked.filter(|&seats| seats != found) {
            return Err(OpenError::Seats {
                role,
                expected,
                found,
            });
        }
    }
    if let Some(expected) = options.delivery.filter(|&asked| asked != found.delivery) {
        return Err(OpenError::Delivery {
            expected,
            found: found.delivery,
        });
    }
    if let Some(expected) = options.mode.filter(|&mode| mode != found_mode) {
        return Err(OpenError::Mode {
            expected,
            found: found_mode,
        });
    }
    if let Some(expected) = options.fences.filter(|&fences| fences != found.fences) {
        return Err(OpenError::Fences {
            expected,
            found: found.fences,
        });
    }
    Ok(())
}
