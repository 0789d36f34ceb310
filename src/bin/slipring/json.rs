//! JSON form of a ring.

use super::failure::Failure;
use super::{holder, output, summary};
use serde::Serialize;
use slipring::{Backing, Occupancy, Role, Seat, Snapshot};

/// Prints a value on one line.
pub(crate) fn print(value: &impl Serialize) -> Result<(), Failure> {
    output::print(&line(value)?)
}

pub(crate) fn line(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::new(error.to_string()))?;
    Ok(text + "\n")
}

#[derive(Serialize)]
pub(crate) struct Ring<'a> {
    ring: &'a str,
    kind: String,
    encoding: String,
    message_size: u64,
    message_align: u64,
    capacity: u64,
    depth: u64,
    growing: bool,
    left: u64,
    head: u64,
    tail: u64,
    pushed: u64,
    popped: u64,
    closed: bool,
    orphans: bool,
    tombstones: u64,
    redelivered: u64,
    dropped: u64,
    recoveries: u64,
    producer_wakes: u32,
    consumer_wakes: u32,
    producer_seats: usize,
    consumer_seats: usize,
    seats: Vec<TakenSeat>,
    schema: u64,
    fences: String,
    delivery: String,
    /// `None` if the interval exceeds 2^64 nanoseconds.
    liveness_interval_ns: Option<u64>,
    unlink_when_left: bool,
    owner: u32,
    group: u32,
    mode: String,
    age_s: u64,
    size: u64,
    allocated: u64,
    retired: u64,
    segments: Vec<JsonSegment>,
}

impl<'a> Ring<'a> {
    pub(crate) fn new(ring: &'a Backing, snapshot: &Snapshot) -> Self {
        let counters = &snapshot.counters;
        let is_taken = |seat: &&Seat| seat.occupancy != Occupancy::NeverTaken;
        let seats = snapshot.seats.iter().filter(is_taken);
        Self {
            ring: ring.as_str(),
            kind: snapshot.kind.to_string(),
            encoding: snapshot.encoding.to_string(),
            message_size: snapshot.message_size.into(),
            message_align: snapshot.message_align.into(),
            capacity: snapshot.capacity,
            depth: snapshot.len(),
            growing: snapshot.is_growing(),
            left: summary::left(snapshot),
            head: snapshot.head,
            tail: snapshot.tail,
            pushed: snapshot.pushed(),
            popped: snapshot.popped(),
            closed: snapshot.is_closed,
            orphans: snapshot.has_orphans,
            tombstones: counters.tombstones,
            redelivered: counters.redelivered,
            dropped: counters.dropped,
            recoveries: counters.recoveries,
            producer_wakes: snapshot.producers.wakes,
            consumer_wakes: snapshot.consumers.wakes,
            producer_seats: snapshot.seats_of(Role::Producer).count(),
            consumer_seats: snapshot.seats_of(Role::Consumer).count(),
            seats: seats.map(|seat| TakenSeat::new(snapshot, seat)).collect(),
            schema: snapshot.schema,
            fences: snapshot.fences.to_string(),
            delivery: snapshot.delivery.to_string(),
            liveness_interval_ns: snapshot.liveness_interval.as_nanos().try_into().ok(),
            unlink_when_left: snapshot.unlink_when_left,
            owner: snapshot.owner,
            group: snapshot.group,
            mode: format!("{:04o}", snapshot.mode),
            age_s: summary::age(snapshot).as_secs(),
            size: snapshot.size,
            allocated: snapshot.allocated,
            retired: snapshot.retired,
            segments: snapshot.segments.iter().map(JsonSegment::new).collect(),
        }
    }
}

#[derive(Serialize)]
struct TakenSeat {
    seat: u32,
    role: String,
    state: &'static str,
    pid: u32,
    command: Option<String>,
    stopped: Option<bool>,
    asleep: Option<bool>,
    intent_start: Option<u64>,
    intent_end: Option<u64>,
    behind: bool,
}

impl TakenSeat {
    fn new(snapshot: &Snapshot, seat: &Seat) -> Self {
        let holder = holder::find(snapshot, seat);
        let intent = seat.intent.as_ref();
        Self {
            seat: seat.number,
            role: seat.role.to_string(),
            state: summary::occupancy(seat),
            pid: seat.pid,
            stopped: holder.as_ref().map(|holder| holder.is_stopped),
            asleep: holder.as_ref().and_then(|holder| holder.is_asleep),
            command: holder.map(|holder| holder.command),
            intent_start: intent.map(|intent| intent.start),
            intent_end: intent.map(|intent| intent.end),
            behind: snapshot.is_behind(seat),
        }
    }
}

#[derive(Serialize)]
struct JsonSegment {
    capacity: u64,
    depth: u64,
    head: u64,
    tail: u64,
    ended: bool,
    offset: u64,
    size: u64,
}

impl JsonSegment {
    fn new(segment: &slipring::Segment) -> Self {
        Self {
            capacity: segment.capacity,
            depth: segment.len(),
            head: segment.head,
            tail: segment.tail,
            ended: segment.is_ended,
            offset: segment.offset,
            size: segment.size,
        }
    }
}
