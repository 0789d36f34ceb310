//! `slipring gc`.

use super::args::Collect;
use super::failure::Failure;
use super::rings::{self, Finding};
use super::{output, table};
use slipring::error::{ExclusiveError, OpenError};
use slipring::{Backing, ExclusiveRing, Snapshot};
use std::io::{self, BufRead};

pub(crate) fn run(asked: &Collect) -> Result<(), Failure> {
    let abandoned: Vec<_> = rings::named_or_all(&asked.rings)
        .into_iter()
        .filter_map(|ring| Some((abandoned(&ring, asked)?, ring)))
        .collect();
    if abandoned.is_empty() {
        return output::print("nothing to remove: every ring is in use, or was only just made\n");
    }
    let row = |(snapshot, ring): &(Box<Snapshot>, Backing)| {
        [
            ring.to_string(),
            snapshot.len().to_string(),
            output::time(rings::age(snapshot)),
            output::bytes(snapshot.allocated),
        ]
    };
    let rows: Vec<_> = abandoned.iter().map(row).collect();
    let heading = ["RING", "DEPTH", "AGE", "MEMORY"];
    output::print(&table::lay_out(heading, &heading[1..], &rows))?;

    let may_go = |(snapshot, _): &&(Box<Snapshot>, Backing)| asked.force || snapshot.is_empty();
    let going: Vec<_> = abandoned.iter().filter(may_go).collect();
    let kept = abandoned.len() - going.len();
    if kept > 0 {
        output::print(&format!(
            "{kept} with unread messages stay; --force removes them too\n"
        ))?;
    }
    if going.is_empty() || !asked.yes && !is_agreed(going.len())? {
        return Ok(());
    }
    for (snapshot, ring) in going {
        let outcome = match remove(ring, snapshot, asked)? {
            true => "removed",
            false => "no longer what it was, and not removed:",
        };
        output::print(&format!("{outcome} {}\n", output::plain(ring)))?;
    }
    Ok(())
}

/// A ring that nobody holds, and that was not only just made.
fn abandoned(ring: &Backing, asked: &Collect) -> Option<Box<Snapshot>> {
    match rings::look(ring) {
        Finding::Ring(snapshot) => {
            let is_old = rings::age(&snapshot) >= asked.older;
            (is_old && snapshot.alive() == 0).then_some(snapshot)
        }
        _ => None,
    }
}

/// Whether it is gone, and not kept by somebody who has come meanwhile.
fn remove(ring: &Backing, seen: &Snapshot, asked: &Collect) -> Result<bool, Failure> {
    let vacancy = match ExclusiveRing::lock(ring) {
        Ok(vacancy) => vacancy,
        Err(ExclusiveError::InUse { .. } | ExclusiveError::Open(OpenError::NotFound { .. })) => {
            return Ok(false);
        }
        Err(error) => return Err(Failure::vacancy(ring, &error)),
    };
    let is_same = vacancy.created_at() == seen.created_at;
    let may_go = is_same && (asked.force || vacancy.is_empty());
    if may_go {
        let removed = vacancy.unlink();
        removed.map_err(|error| Failure::unlink(ring, &error))?;
    }
    Ok(may_go)
}

fn is_agreed(count: usize) -> Result<bool, Failure> {
    let what = match count {
        1 => "this ring".into(),
        _ => format!("{count} rings"),
    };
    output::print(&format!("remove {what}? [y/N] "))?;
    let mut answer = String::new();
    let unread = |error| Failure::new(format!("standard input: {error}"));
    io::stdin().lock().read_line(&mut answer).map_err(unread)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
