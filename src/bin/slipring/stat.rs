//! `slipring stat`.

use super::args::Stat;
use super::failure::Failure;
use super::holder::{self, Holder};
use super::{discover, json, metrics, output, summary, table};
use slipring::{Backing, Encoding, Kind, Occupancy, Role, Seat, Snapshot};
use std::fmt::Write;
use std::time::Duration;

pub(crate) fn run(args: &Stat) -> Result<(), Failure> {
    let ring = &args.ring;
    let observer = discover::open(ring)?;
    output::print_every(args.watch, || {
        let snapshot = discover::snapshot(ring, &observer)?;
        match args {
            Stat { json: true, .. } => json::line(&json::Ring::new(ring, &snapshot)),
            Stat {
                prometheus: true, ..
            } => metrics::to_text(ring, snapshot).map_err(|error| Failure::of(ring, error)),
            _ => Ok(to_text(ring, &snapshot)),
        }
    })
}

fn to_text(ring: &Backing, snapshot: &Snapshot) -> String {
    let owner = output::user_name(snapshot.owner);
    // Without the fraction of a second.
    let age = Duration::from_secs(summary::age(snapshot).as_secs());
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
        ("owner", format!("{owner}, mode {:04o}", snapshot.mode)),
        ("age", humantime::format_duration(age).to_string()),
        ("memory", memory(snapshot)),
    ];
    if let Some(growth) = summary::growth(snapshot) {
        fields.insert(3, ("growing", growth));
    }
    let mut text = format!("{}\n", output::escape(ring));
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
    let encoding = match snapshot.encoding {
        Encoding::Bytes => format!("byte strings up to {size} bytes"),
        _ => format!(
            "values of {size} bytes, aligned to {}",
            snapshot.message_align
        ),
    };
    match snapshot.schema {
        0 => encoding,
        schema => format!("{encoding}, schema {schema:#x}"),
    }
}

fn depth(snapshot: &Snapshot) -> String {
    let of = |depth: u64, capacity: u64| {
        let percent = 100.0 * depth as f64 / capacity as f64;
        format!("{depth} of {capacity} ({percent:.0} %)")
    };
    let depth = snapshot.len();
    match &*snapshot.segments {
        [_, .., newest] => {
            let newest = of(newest.len(), newest.capacity);
            format!("{depth}; {newest} in the new segment")
        }
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
        states.push("has orphans of dead consumers");
    }
    if snapshot.unlink_when_left {
        states.push("removed when the last participant leaves");
    }
    states.join(", ")
}

fn memory(snapshot: &Snapshot) -> String {
    let [size, allocated, retired] =
        [snapshot.size, snapshot.allocated, snapshot.retired].map(output::bytes);
    match snapshot.retired {
        0 => format!("{allocated} of {size}"),
        _ => format!("{allocated} of {size}, {retired} kept for participants that are behind"),
    }
}

/// The seats that have or had a holder.
fn seats(snapshot: &Snapshot) -> String {
    let is_taken = |seat: &&Seat| seat.occupancy != Occupancy::NeverTaken;
    let row = |seat: &Seat| {
        let holder = holder::find(snapshot, seat);
        let command = holder.as_ref().map_or("-", |holder| &*holder.command);
        [
            seat.number.to_string(),
            seat.role.to_string(),
            seat.pid.to_string(),
            command.to_string(),
            summary::occupancy(seat).to_string(),
            activity(seat, holder.as_ref()).to_string(),
            claim(seat),
        ]
    };
    let rows: Vec<_> = snapshot.seats.iter().filter(is_taken).map(row).collect();
    let heading = ["SEAT", "ROLE", "PID", "COMMAND", "STATE", "NOW", "CLAIM"];
    table::render(heading, &["SEAT", "PID"], &rows)
}

fn activity(seat: &Seat, holder: Option<&Holder>) -> &'static str {
    match holder {
        _ if seat.occupancy != Occupancy::Alive => "-",
        Some(Holder {
            is_stopped: true, ..
        }) => "stopped",
        Some(Holder {
            is_asleep: Some(true),
            ..
        }) => "asleep",
        Some(Holder {
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
