//! Finding rings, and saying what they are.

use super::failure::Failure;
use super::json::Json;
use super::people;
use slipring::error::OpenError;
use slipring::{Backing, Observer, Occupancy, Role, Seat, Snapshot, Stage};
use std::fs;
use std::time::{Duration, SystemTime};

/// What something turned out to be that may be a ring.
pub(crate) enum Finding {
    Ring(Box<Snapshot>),
    /// A ring that can't be one any more, or not for this version.
    Broken(String),
    /// Perhaps a ring: it can't be looked at, for the reason.
    Unreadable(String),
    /// Nothing, or something else.
    Other,
}

/// All that may be a ring and has a name.
pub(crate) fn candidates() -> Vec<Backing> {
    let mut found = in_shared_memory();
    found.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    found.extend(segments());
    found
}

pub(crate) fn named_or_all(named: &[Backing]) -> Vec<Backing> {
    match named {
        [] => candidates(),
        named => named.to_vec(),
    }
}

fn in_shared_memory() -> Vec<Backing> {
    let entries = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| Backing::posix(&format!("/{name}")).ok())
        .collect()
}

fn segments() -> Vec<Backing> {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let rows = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let key: i32 = fields.next()?.parse().ok()?;
        let id: i32 = fields.next()?.parse().ok()?;
        match key {
            0 => format!("sysv:id:{id}").parse().ok(),
            key => Backing::sysv(key as u32).ok(),
        }
    });
    rows.collect()
}

pub(crate) fn look(ring: &Backing) -> Finding {
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
    let taken = observer.snapshot();
    taken.map_err(|error| Failure::of(ring, error))
}

pub(crate) fn age(snapshot: &Snapshot) -> Duration {
    let since = SystemTime::now().duration_since(snapshot.created_at);
    since.unwrap_or_default()
}

/// How many seats of a role have live and dead holders.
pub(crate) fn count(snapshot: &Snapshot, role: Role, occupancy: Occupancy) -> usize {
    let seats = snapshot.seats_of(role);
    seats.filter(|seat| seat.occupancy == occupancy).count()
}

/// How many messages a ring holds, and will hold.
pub(crate) fn capacity(snapshot: &Snapshot) -> String {
    match &*snapshot.segments {
        [oldest, .., newest] => format!("{} → {}", oldest.capacity, newest.capacity),
        _ => snapshot.capacity.to_string(),
    }
}

/// The rings that another one follows.
pub(crate) fn old(snapshot: &Snapshot) -> &[Stage] {
    match &*snapshot.segments {
        [old @ .., _newest] => old,
        [] => &[],
    }
}

/// How many messages are left in the rings that another one follows.
pub(crate) fn left(snapshot: &Snapshot) -> u64 {
    old(snapshot).iter().map(Stage::len).sum()
}

/// How far a ring that grows has come.
pub(crate) fn growth(snapshot: &Snapshot) -> Option<String> {
    let where_left = match old(snapshot) {
        [] => return None,
        [_] => "the old one",
        _ => "the old ones",
    };
    let (capacity, left) = (capacity(snapshot), left(snapshot));
    Some(format!("{capacity}, {left} left in {where_left}"))
}

/// What a ring carries.
pub(crate) fn payload(snapshot: &Snapshot) -> String {
    match snapshot.encoding {
        slipring::Encoding::Bytes => format!("0..{}", snapshot.message_size),
        _ => snapshot.message_size.to_string(),
    }
}

pub(crate) fn occupancy(seat: &Seat) -> &'static str {
    match seat.occupancy {
        Occupancy::NeverTaken => "never taken",
        Occupancy::Alive => "alive",
        Occupancy::Left => "left",
        Occupancy::Dead => "dead",
        _ => "unknown",
    }
}

pub(crate) fn to_json(ring: &Backing, snapshot: &Snapshot) -> Json {
    let counters = &snapshot.counters;
    let interval = snapshot.liveness_interval.as_nanos();
    let taken = |seat: &&Seat| seat.occupancy != Occupancy::NeverTaken;
    let seats = snapshot.seats.iter().filter(taken);
    let seats = seats.map(|seat| seat_to_json(snapshot, seat));
    let stages = snapshot.segments.iter().map(stage_to_json);
    Json::Object(vec![
        ("ring", ring.as_str().into()),
        ("kind", snapshot.kind.to_string().into()),
        ("encoding", snapshot.encoding.to_string().into()),
        ("message_size", snapshot.message_size.into()),
        ("message_align", snapshot.message_align.into()),
        ("capacity", snapshot.capacity.into()),
        ("depth", snapshot.len().into()),
        ("growing", snapshot.is_growing().into()),
        ("left", left(snapshot).into()),
        ("head", snapshot.head.into()),
        ("tail", snapshot.tail.into()),
        ("pushed", snapshot.pushed().into()),
        ("popped", snapshot.popped().into()),
        ("closed", snapshot.is_closed.into()),
        ("orphans", snapshot.has_orphans.into()),
        ("tombstones", counters.tombstones.into()),
        ("redelivered", counters.redelivered.into()),
        ("dropped", counters.dropped.into()),
        ("recoveries", counters.recoveries.into()),
        ("producer_wakes", snapshot.producers.wakes.into()),
        ("consumer_wakes", snapshot.consumers.wakes.into()),
        ("producer_seats", seats_of(snapshot, Role::Producer)),
        ("consumer_seats", seats_of(snapshot, Role::Consumer)),
        ("seats", Json::List(seats.collect())),
        ("schema", snapshot.schema.into()),
        ("fences", snapshot.fences.to_string().into()),
        ("delivery", snapshot.delivery.to_string().into()),
        ("liveness_interval_ns", u64::try_from(interval).ok().into()),
        ("unlink_when_left", snapshot.unlink_when_left.into()),
        ("owner", snapshot.owner.into()),
        ("group", snapshot.group.into()),
        ("mode", format!("{:04o}", snapshot.mode).into()),
        ("age_s", age(snapshot).as_secs().into()),
        ("size", snapshot.size.into()),
        ("allocated", snapshot.allocated.into()),
        ("retired", snapshot.retired.into()),
        ("stages", Json::List(stages.collect())),
    ])
}

fn seats_of(snapshot: &Snapshot, role: Role) -> Json {
    (snapshot.seats_of(role).count() as u64).into()
}

fn stage_to_json(stage: &Stage) -> Json {
    Json::Object(vec![
        ("capacity", stage.capacity.into()),
        ("depth", stage.len().into()),
        ("head", stage.head.into()),
        ("tail", stage.tail.into()),
        ("ended", stage.is_ended.into()),
        ("offset", stage.offset.into()),
        ("size", stage.size.into()),
    ])
}

fn seat_to_json(snapshot: &Snapshot, seat: &Seat) -> Json {
    let person = people::find(snapshot, seat);
    let intent = seat.intent.as_ref();
    Json::Object(vec![
        ("seat", seat.number.into()),
        ("role", seat.role.to_string().into()),
        ("state", occupancy(seat).into()),
        ("pid", seat.pid.into()),
        (
            "command",
            person.as_ref().map(|person| &*person.command).into(),
        ),
        (
            "stopped",
            person.as_ref().map(|person| person.is_stopped).into(),
        ),
        ("asleep", person.and_then(|person| person.is_asleep).into()),
        ("intent_start", intent.map(|intent| intent.start).into()),
        ("intent_end", intent.map(|intent| intent.end).into()),
        ("behind", snapshot.is_behind(seat).into()),
    ])
}
