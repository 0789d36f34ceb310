//! `slipring list`.

use super::args::List;
use super::failure::Failure;
use super::json::Json;
use super::rings::{self, Finding};
use super::{output, people, table};
use slipring::{Backing, Occupancy, Role, Snapshot};

const HEADING: [&str; 11] = [
    "RING",
    "KIND",
    "PAYLOAD",
    "CAPACITY",
    "DEPTH",
    "SENDERS",
    "RECEIVERS",
    "OWNER",
    "MODE",
    "AGE",
    "MEMORY",
];

pub(crate) fn run(asked: &List) -> Result<(), Failure> {
    let mut candidates = rings::candidates();
    candidates.extend(asked.rings.iter().cloned());
    let found: Vec<_> = candidates
        .into_iter()
        .map(|ring| (rings::look(&ring), ring))
        .collect();
    if let Some((_, missing)) = found
        .iter()
        .find(|(finding, ring)| !is_ring(finding) && asked.rings.contains(ring))
    {
        rings::open(missing)?;
    }
    match asked.json {
        true => output::print(&format!("{}\n", to_json(&found))),
        false => output::print(&to_text(&found)),
    }
}

fn is_ring(finding: &Finding) -> bool {
    matches!(finding, Finding::Ring(_) | Finding::Broken(_))
}

fn to_text(found: &[(Finding, Backing)]) -> String {
    let row = |(finding, ring): &(Finding, Backing)| match finding {
        Finding::Ring(snapshot) => Some(describe(ring, snapshot)),
        _ => None,
    };
    let rows: Vec<_> = found.iter().filter_map(row).collect();
    let right = ["PAYLOAD", "CAPACITY", "DEPTH", "AGE", "MEMORY"];
    let mut text = table::lay_out(HEADING, &right, &rows);
    for (finding, ring) in found {
        let (state, reason) = match finding {
            Finding::Broken(reason) => ("broken", reason),
            Finding::Unreadable(reason) => ("unreadable", reason),
            _ => continue,
        };
        let line = format!("{ring}  {state}: {reason}");
        text.push_str(&output::plain(&line));
        text.push('\n');
    }
    text
}

fn describe(ring: &Backing, snapshot: &Snapshot) -> [String; HEADING.len()] {
    [
        ring.to_string(),
        snapshot.kind.to_string(),
        rings::payload(snapshot),
        rings::capacity(snapshot),
        snapshot.len().to_string(),
        holders(snapshot, Role::Producer),
        holders(snapshot, Role::Consumer),
        people::user(snapshot.owner),
        format!("{:04o}", snapshot.mode),
        output::time(rings::age(snapshot)),
        output::bytes(snapshot.allocated),
    ]
}

fn holders(snapshot: &Snapshot, role: Role) -> String {
    let alive = rings::count(snapshot, role, Occupancy::Alive);
    match rings::count(snapshot, role, Occupancy::Dead) {
        0 => alive.to_string(),
        dead => format!("{alive}, {dead} dead"),
    }
}

fn to_json(found: &[(Finding, Backing)]) -> Json {
    let refused = |ring: &Backing, state, reason: &str| {
        let fields = vec![("ring", ring.as_str().into()), (state, reason.into())];
        Some(Json::Object(fields))
    };
    let item = |(finding, ring): &(Finding, Backing)| match finding {
        Finding::Ring(snapshot) => Some(rings::to_json(ring, snapshot)),
        Finding::Broken(reason) => refused(ring, "broken", reason),
        Finding::Unreadable(reason) => refused(ring, "unreadable", reason),
        Finding::Other => None,
    };
    Json::List(found.iter().filter_map(item).collect())
}
