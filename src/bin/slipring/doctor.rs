//! `slipring doctor`.

mod object;
mod participants;
mod segments;

use super::args::Doctor;
use super::failure::Failure;
use super::{discover, output, summary};
use slipring::error::OpenError;
use slipring::{Backing, Observer, Occupancy, Role, Snapshot};
use std::fmt::Write;

/// An observation about a ring, and advice.
struct Diagnosis {
    /// Whether the ring needs an intervention.
    is_problem: bool,
    text: String,
    advice: String,
}

fn problem(text: String, advice: impl Into<String>) -> Diagnosis {
    Diagnosis {
        is_problem: true,
        text,
        advice: advice.into(),
    }
}

fn note(text: String, advice: impl Into<String>) -> Diagnosis {
    Diagnosis {
        is_problem: false,
        ..problem(text, advice)
    }
}

pub(crate) fn run(args: &Doctor) -> Result<(), Failure> {
    let ring = &args.ring;
    let observer = match Observer::open(ring) {
        Ok(observer) => observer,
        Err(error) => {
            print(&object::removed(ring))?;
            if let Some(diagnosis) = unusable(ring, &error) {
                print(&[diagnosis])?;
            }
            return Err(Failure::open(ring, &error));
        }
    };
    if args.repair {
        repair(ring)?;
    }
    let snapshot = discover::snapshot(ring, &observer)?;
    let mut diagnoses = examine(ring, &observer, &snapshot);
    diagnoses.extend(object::removed(ring));
    diagnoses.extend(object::space(ring));
    print(&diagnoses)?;
    let problems = diagnoses.iter().filter(|diagnosis| diagnosis.is_problem);
    match problems.count() {
        0 if diagnoses.is_empty() => output::print("no problems found\n"),
        0 => output::print("no repair needed\n"),
        1 => Err(Failure::of(ring, "1 problem found")),
        several => Err(Failure::of(ring, format!("{several} problems found"))),
    }
}

fn print(diagnoses: &[Diagnosis]) -> Result<(), Failure> {
    let mut output = String::new();
    for Diagnosis { text, advice, .. } in diagnoses {
        let [text, advice] = [text, advice].map(|text| output::escape(text));
        let _ = writeln!(output, "{text}\n    {advice}");
    }
    output::print(&output)
}

fn repair(ring: &Backing) -> Result<(), Failure> {
    let recovered = slipring::recover(ring);
    let done = recovered.map_err(|error| Failure::of(ring, error))?;
    output::print(&format!(
        "recovered: {} dead participants settled, {} tombstones, {} messages dropped, \
         {} messages wait for a consumer, {} positions undecided\n",
        done.settled, done.tombstones, done.dropped, done.waiting, done.undecided
    ))
}

fn unusable(ring: &Backing, error: &OpenError) -> Option<Diagnosis> {
    let text = format!("the ring is unusable: {error}");
    match error {
        OpenError::Version { .. } | OpenError::UnknownFlags { .. } => Some(problem(
            text,
            "another version created it: use the slipring tool of that version",
        )),
        OpenError::Truncated { .. } | OpenError::Inconsistent { .. } => Some(problem(
            text,
            format!(
                "no process can attach: remove it (slipring rm --force {}) and create a new ring",
                output::shell_word(ring)
            ),
        )),
        _ => None,
    }
}

fn examine(ring: &Backing, observer: &Observer, snapshot: &Snapshot) -> Vec<Diagnosis> {
    let mut diagnoses = Vec::new();
    if snapshot.is_closed {
        let text = "the ring is closed permanently";
        diagnoses.push(note(text.into(), "create a new ring after it is drained"));
    }
    for seat in &snapshot.seats {
        diagnoses.extend(participants::holder(ring, snapshot, seat));
    }
    diagnoses.extend(participants::unpublished(observer, snapshot));
    diagnoses.extend(segments::growth(ring, snapshot));
    diagnoses.extend(segments::behind(snapshot));
    diagnoses.extend(depth(snapshot));
    let has_consumer = summary::seat_count(snapshot, Role::Consumer, Occupancy::Alive) > 0;
    if snapshot.has_orphans && has_consumer {
        diagnoses.push(note(
            "messages of dead consumers wait for a live consumer".into(),
            "a consumer adopts them when it finds the ring empty",
        ));
    }
    diagnoses.extend(object::mode(snapshot));
    diagnoses
}

fn depth(snapshot: &Snapshot) -> Option<Diagnosis> {
    let depth = snapshot.len();
    let newest = snapshot.segments.last();
    if depth > 0 && summary::seat_count(snapshot, Role::Consumer, Occupancy::Alive) == 0 {
        Some(problem(
            format!("{depth} messages wait, and the ring has no live consumer"),
            "start a consumer; slipring tap shows the messages, slipring recv receives them",
        ))
    } else if newest.is_some_and(|newest| newest.len() == newest.capacity) {
        Some(note(
            format!("the ring is full: {depth} messages"),
            "the consumers are slower than the producers, or a consumer is stuck",
        ))
    } else {
        None
    }
}
