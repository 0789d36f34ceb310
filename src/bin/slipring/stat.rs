//! `slipring stat`.

use super::args::Stat;
use super::failure::Failure;
use super::people::{self, Person};
use super::{output, rings, table};
use slipring::{Backing, Encoding, Kind, Occupancy, Role, Seat, Snapshot};
use std::fmt::Write;

pub(crate) fn run(asked: &Stat) -> Result<(), Failure> {
    let observer = rings::open(&asked.ring)?;
    output::print_every(asked.watch, || {
        let snapshot = rings::snapshot(&asked.ring, &observer)?;
        Ok(match asked {
            Stat { json: true, .. } => format!("{}\n", rings::to_json(&asked.ring, &snapshot)),
            Stat {
                prometheus: true, ..
            } => to_prometheus(&asked.ring, &snapshot),
            _ => to_text(&asked.ring, &snapshot),
        })
    })
}

fn to_text(ring: &Backing, snapshot: &Snapshot) -> String {
    let mut fields = vec![
        ("kind", kind(snapshot)),
        ("messages", messages(snapshot)),
        ("depth", depth(snapshot)),
        (
            "positions",
            format!("head {}, tail {}", snapshot.head, snapshot.tail),
        ),
        ("pushed", snapshot.pushed().to_string()),
        ("popped", snapshot.popped().to_string()),
        ("recovered", recovered(snapshot)),
        ("wake-ups", wakes(snapshot)),
        ("state", state(snapshot)),
        (
            "owner",
            format!(
                "{}, mode {:04o}",
                people::user(snapshot.owner),
                snapshot.mode
            ),
        ),
        ("age", output::time(rings::age(snapshot))),
        ("memory", memory(snapshot)),
    ];
    if let Some(growth) = rings::growth(snapshot) {
        fields.insert(3, ("growing", growth));
    }
    let mut text = format!("{}\n", output::plain(ring));
    for (name, value) in fields {
        let _ = writeln!(text, "  {name:<10} {value}");
    }
    text.push('\n');
    text.push_str(&seats(snapshot));
    text
}

fn kind(snapshot: &Snapshot) -> String {
    let seats = |role| snapshot.seats_of(role).count();
    let (producers, consumers) = (seats(Role::Producer), seats(Role::Consumer));
    match snapshot.kind {
        Kind::Mpmc => format!(
            "mpmc, {producers} producer and {consumers} consumer seats, {}",
            snapshot.delivery
        ),
        kind => kind.to_string(),
    }
}

fn messages(snapshot: &Snapshot) -> String {
    let size = snapshot.message_size;
    let what = match snapshot.encoding {
        Encoding::Bytes => format!("byte strings up to {size} bytes"),
        _ => format!(
            "values of {size} bytes, aligned to {}",
            snapshot.message_align
        ),
    };
    match snapshot.schema {
        0 => what,
        schema => format!("{what}, schema {schema:#x}"),
    }
}

fn depth(snapshot: &Snapshot) -> String {
    let of = |depth: u64, capacity: u64| {
        let percent = 100.0 * depth as f64 / capacity as f64;
        format!("{depth} of {capacity} ({percent:.0} %)")
    };
    let depth = snapshot.len();
    match &*snapshot.segments {
        [_, .., newest] => format!(
            "{depth}; {} in the new one",
            of(newest.len(), newest.capacity)
        ),
        _ => of(depth, snapshot.capacity),
    }
}

fn recovered(snapshot: &Snapshot) -> String {
    let counters = &snapshot.counters;
    format!(
        "{} times; {} tombstones, {} redelivered, {} dropped",
        counters.recoveries, counters.tombstones, counters.redelivered, counters.dropped
    )
}

fn wakes(snapshot: &Snapshot) -> String {
    let (producers, consumers) = (snapshot.producers, snapshot.consumers);
    format!(
        "{} of producers, {} of consumers",
        producers.wakes, consumers.wakes
    )
}

fn state(snapshot: &Snapshot) -> String {
    let mut states = vec![if snapshot.is_closed { "closed" } else { "open" }];
    if snapshot.has_orphans {
        states.push("messages of dead consumers wait");
    }
    if snapshot.unlink_when_left {
        states.push("goes with the last participant");
    }
    states.join(", ")
}

fn memory(snapshot: &Snapshot) -> String {
    let [size, allocated, retired] =
        [snapshot.size, snapshot.allocated, snapshot.retired].map(output::bytes);
    match snapshot.retired {
        0 => format!("{allocated} of {size} bytes"),
        _ => format!("{allocated} of {size} bytes, {retired} kept for who is behind"),
    }
}

/// Those seats that anybody has had.
fn seats(snapshot: &Snapshot) -> String {
    let taken = |seat: &&Seat| seat.occupancy != Occupancy::NeverTaken;
    let describe = |seat: &Seat| {
        let person = people::find(snapshot, seat);
        let command = person.as_ref().map_or("-", |person| &*person.command);
        [
            seat.number.to_string(),
            seat.role.to_string(),
            seat.pid.to_string(),
            command.to_string(),
            rings::occupancy(seat).to_string(),
            doing(seat, person.as_ref()).to_string(),
            claim(seat),
        ]
    };
    let rows: Vec<_> = snapshot.seats.iter().filter(taken).map(describe).collect();
    let heading = ["SEAT", "ROLE", "PID", "COMMAND", "STATE", "NOW", "CLAIM"];
    table::lay_out(heading, &["SEAT", "PID"], &rows)
}

fn doing(seat: &Seat, person: Option<&Person>) -> &'static str {
    match person {
        _ if seat.occupancy != Occupancy::Alive => "-",
        Some(Person {
            is_stopped: true, ..
        }) => "stopped",
        Some(Person {
            is_asleep: Some(true),
            ..
        }) => "asleep",
        Some(Person {
            is_asleep: Some(false),
            ..
        }) => "awake",
        _ => "?",
    }
}

fn claim(seat: &Seat) -> String {
    match &seat.intent {
        None => "-".into(),
        Some(intent) if intent.end - intent.start <= 1 => intent.start.to_string(),
        Some(intent) => format!("{}..{}", intent.start, intent.end),
    }
}

fn to_prometheus(ring: &Backing, snapshot: &Snapshot) -> String {
    let label: String = ring.chars().flat_map(escape).collect();
    let counters = &snapshot.counters;
    let mut text = String::new();
    let mut tell = |name, kind, help, values: &[(&str, u64)]| {
        let _ = writeln!(text, "# HELP slipring_{name} {help}");
        let _ = writeln!(text, "# TYPE slipring_{name} {kind}");
        for (more, value) in values {
            let _ = writeln!(text, "slipring_{name}{{ring=\"{label}\"{more}}} {value}");
        }
    };
    let depth = snapshot.len();
    tell(
        "depth",
        "gauge",
        "Messages that nobody has taken.",
        &[("", depth)],
    );
    let capacity = snapshot.capacity;
    tell("capacity", "gauge", "Messages that fit.", &[("", capacity)]);
    let stages = snapshot.segments.len() as u64;
    tell(
        "stages",
        "gauge",
        "Rings in use: more than one while it grows.",
        &[("", stages)],
    );
    let left = rings::left(snapshot);
    tell(
        "left",
        "gauge",
        "Messages left in rings that another one follows.",
        &[("", left)],
    );
    let pushed = snapshot.pushed();
    tell(
        "pushed_total",
        "counter",
        "Messages pushed.",
        &[("", pushed)],
    );
    let popped = snapshot.popped();
    tell(
        "popped_total",
        "counter",
        "Messages popped.",
        &[("", popped)],
    );
    tell(
        "tombstones_total",
        "counter",
        "Positions without a message.",
        &[("", counters.tombstones)],
    );
    tell(
        "redelivered_total",
        "counter",
        "Messages of dead consumers delivered again.",
        &[("", counters.redelivered)],
    );
    tell(
        "dropped_total",
        "counter",
        "Messages of dead consumers dropped.",
        &[("", counters.dropped)],
    );
    tell(
        "recoveries_total",
        "counter",
        "Recoveries.",
        &[("", counters.recoveries)],
    );
    tell(
        "wakes_total",
        "counter",
        "Wake-ups, modulo 2^31.",
        &[
            (",role=\"producer\"", snapshot.producers.wakes.into()),
            (",role=\"consumer\"", snapshot.consumers.wakes.into()),
        ],
    );
    let count = |role, occupancy| rings::count(snapshot, role, occupancy) as u64;
    tell(
        "seats",
        "gauge",
        "Seats with a holder that is alive, or dead.",
        &[
            (
                ",role=\"producer\",state=\"alive\"",
                count(Role::Producer, Occupancy::Alive),
            ),
            (
                ",role=\"producer\",state=\"dead\"",
                count(Role::Producer, Occupancy::Dead),
            ),
            (
                ",role=\"consumer\",state=\"alive\"",
                count(Role::Consumer, Occupancy::Alive),
            ),
            (
                ",role=\"consumer\",state=\"dead\"",
                count(Role::Consumer, Occupancy::Dead),
            ),
        ],
    );
    let memory = snapshot.allocated;
    tell(
        "memory_bytes",
        "gauge",
        "Memory of the ring.",
        &[("", memory)],
    );
    let retired = snapshot.retired;
    tell(
        "retired_bytes",
        "gauge",
        "Memory of older rings, kept for who is behind.",
        &[("", retired)],
    );
    let closed = snapshot.is_closed.into();
    tell(
        "closed",
        "gauge",
        "Whether the ring is closed.",
        &[("", closed)],
    );
    text
}

/// A letter of a label's value.
fn escape(letter: char) -> impl Iterator<Item = char> {
    let (before, letter) = match letter {
        '\n' => (Some('\\'), 'n'),
        '"' | '\\' => (Some('\\'), letter),
        _ => (None, letter),
    };
    before.into_iter().chain([letter])
}
