//! Options: the geometry that they give a new ring, and the checks of an existing one.

use crate::backing::ObjectStat;
use crate::error::{CreateError, OpenError};
use crate::layout::{Geometry, MAX_SEATS, nanos};
use crate::message::{MAX_PAYLOAD, Message, Shape};
use crate::options::Options;
use crate::properties::{Encoding, Fences, Kind};
use crate::ring::{MAX_CAPACITY, MIN_CAPACITY};
use crate::role::Role;
use core::time::Duration;

const DEFAULT_INTERVAL: Duration = Duration::from_millis(100);
const DEFAULT_SEATS: u32 = 64;

/// The geometry of a new ring. An option that is not set has its default.
pub(super) fn plan_geometry<M: Message + ?Sized>(
    kind: Kind,
    options: &Options,
) -> Result<Geometry, CreateError> {
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
        unlink_when_left: options.unlink_when_left.unwrap_or(false),
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

/// Checks the owner of an object. Runs before anything in the object is read: another user may have
/// created it to deceive this process.
pub(super) fn check_owner(stat: &ObjectStat, options: &Options) -> Result<(), OpenError> {
    match options.owner {
        Some(expected) if expected != stat.owner => Err(OpenError::Owner {
            expected,
            found: stat.owner,
        }),
        _ => Ok(()),
    }
}

/// Checks a ring against the kind and the message type, and against every option that is set.
pub(super) fn check_options<M: Message + ?Sized>(
    found: &Geometry,
    stat: &ObjectStat,
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
    if let Some(expected) = options.mode.filter(|&mode| mode != stat.mode) {
        return Err(OpenError::Mode {
            expected,
            found: stat.mode,
        });
    }
    let asked = options.unlink_when_left;
    if asked.is_some_and(|asked| asked != found.unlink_when_left) {
        return Err(OpenError::UnlinkedWhenLeft {
            found: found.unlink_when_left,
        });
    }
    if let Some(expected) = options.fences.filter(|&fences| fences != found.fences) {
        return Err(OpenError::Fences {
            expected,
            found: found.fences,
        });
    }
    // Last: the caller accepts another capacity if the ring has grown to it.
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
    Ok(())
}
