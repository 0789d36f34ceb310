//! `slipring list`.

use super::args::List;
use super::discover::{self, Finding};
use super::failure::Failure;
use super::{json, output, summary, table};
use serde::Serialize;
use slipring::{Backing, Occupancy, Role, Snapshot};

const HEADING: [&str; 11] = [
    "RING",
    "KIND",
    "PAYLOAD",
    "CAPACITY",
    "DEPTH",
    "PRODUCERS",
    "CONSUMERS",
    "OWNER",
    "MODE",
    "AGE",
    "MEMORY",
];

pub(crate) fn run(args: &List) -> Result<(), Failure> {
    let mut candidates = discover::candidates();
    candidates.extend(args.rings.iter().cloned());
    let found: Vec<_> = candidates
        .into_iter()
        .map(|ring| (discover::inspect(&ring), ring))
        .collect();
    if let Some((_, missing)) = found
        .iter()
        .find(|(finding, ring)| !is_ring(finding) && args.rings.contains(ring))
    {
        discover::open(missing)?;
    }
    match args.json {
        true => json::print(&found.iter().filter_map(Item::new).collect::<Vec<_>>()),
        false => output::print(&to_text(&found)),
    }
}

fn is_ring(finding: &Finding) -> bool {
    matches!(finding, Finding::Ring(_) | Finding::Broken(_))
}

fn to_text(found: &[(Finding, Backing)]) -> String {
    let row = |(finding, ring): &(Finding, Backing)| match finding {
        Finding::Ring(snapshot) => Some(cells(ring, snapshot)),
        _ => None,
    };
    let rows: Vec<_> = found.iter().filter_map(row).collect();
    let right = ["PAYLOAD", "CAPACITY", "DEPTH", "AGE", "MEMORY"];
    let mut text = table::render(HEADING, &right, &rows);
    for (finding, ring) in found {
        let (state, reason) = match finding {
            Finding::Broken(reason) => ("broken", reason),
            Finding::Unreadable(reason) => ("unreadable", reason),
            _ => continue,
        };
        let line = format!("{ring}  {state}: {reason}");
        text.push_str(&output::escape(&line));
        text.push('\n');
    }
    text
}

fn cells(ring: &Backing, snapshot: &Snapshot) -> [String; HEADING.len()] {
    [
        ring.to_string(),
        snapshot.kind.to_string(),
        summary::payload(snapshot),
        summary::capacity(snapshot),
        snapshot.len().to_string(),
        holders(snapshot, Role::Producer),
        holders(snapshot, Role::Consumer),
        output::user_name(snapshot.owner),
        format!("{:04o}", snapshot.mode),
        output::short_time(summary::age(snapshot)),
        output::bytes(snapshot.allocated),
    ]
}

fn holders(snapshot: &Snapshot, role: Role) -> String {
    let alive = summary::seat_count(snapshot, role, Occupancy::Alive);
    match summary::seat_count(snapshot, role, Occupancy::Dead) {
        0 => alive.to_string(),
        dead => format!("{alive}, {dead} dead"),
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Ring(Box<json::Ring<'a>>),
    Broken { ring: &'a str, broken: &'a str },
    Unreadable { ring: &'a str, unreadable: &'a str },
}

impl<'a> Item<'a> {
    fn new((finding, ring): &'a (Finding, Backing)) -> Option<Self> {
        let name = ring.as_str();
        Some(match finding {
            Finding::Ring(snapshot) => Self::Ring(Box::new(json::Ring::new(ring, snapshot))),
            Finding::Broken(reason) => Self::Broken {
                ring: name,
                broken: reason,
            },
            Finding::Unreadable(reason) => Self::Unreadable {
                ring: name,
                unreadable: reason,
            },
            Finding::Other => return None,
        })
    }
}
