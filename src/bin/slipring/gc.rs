//! `slipring gc`.

use super::args::Collect;
use super::discover::{self, Finding};
use super::failure::Failure;
use super::{output, summary, table};
use slipring::error::{ExclusiveError, OpenError};
use slipring::{Backing, ExclusiveRing, Snapshot};
use std::io::{self, BufRead};

struct Unused {
    ring: Backing,
    snapshot: Box<Snapshot>,
}

pub(crate) fn run(args: &Collect) -> Result<(), Failure> {
    let unused: Vec<_> = discover::named_or_all(&args.rings)
        .into_iter()
        .filter_map(|ring| unused(ring, args))
        .collect();
    if unused.is_empty() {
        return output::print("nothing to remove: every ring is in use or too new\n");
    }
    let row = |Unused { ring, snapshot }: &Unused| {
        [
            ring.to_string(),
            snapshot.len().to_string(),
            output::short_time(summary::age(snapshot)),
            output::bytes(snapshot.allocated),
        ]
    };
    let rows: Vec<_> = unused.iter().map(row).collect();
    let heading = ["RING", "DEPTH", "AGE", "MEMORY"];
    output::print(&table::render(heading, &heading[1..], &rows))?;

    let is_removable = |unused: &&Unused| args.force || unused.snapshot.is_empty();
    let removable: Vec<_> = unused.iter().filter(is_removable).collect();
    let kept = unused.len() - removable.len();
    if kept > 0 {
        output::print(&format!(
            "{kept} with unread messages kept; --force removes them too\n"
        ))?;
    }
    if removable.is_empty() || !args.yes && !is_confirmed(removable.len())? {
        return Ok(());
    }
    for unused in removable {
        let outcome = match remove(unused, args)? {
            true => "removed",
            false => "changed since it was listed, not removed:",
        };
        output::print(&format!("{outcome} {}\n", output::escape(&unused.ring)))?;
    }
    Ok(())
}

/// A ring without live participants that is old enough.
fn unused(ring: Backing, args: &Collect) -> Option<Unused> {
    match discover::inspect(&ring) {
        Finding::Ring(snapshot) => {
            let is_old = summary::age(&snapshot) >= args.older;
            (is_old && snapshot.alive() == 0).then_some(Unused { ring, snapshot })
        }
        _ => None,
    }
}

/// Removes the ring that was listed. Returns `false` if it is in use, was replaced, or has messages
/// that it did not have.
fn remove(Unused { ring, snapshot }: &Unused, args: &Collect) -> Result<bool, Failure> {
    let exclusive = match ExclusiveRing::lock(ring) {
        Ok(exclusive) => exclusive,
        Err(ExclusiveError::InUse { .. } | ExclusiveError::Open(OpenError::NotFound { .. })) => {
            return Ok(false);
        }
        Err(error) => return Err(Failure::exclusive(ring, &error)),
    };
    let is_same = exclusive.created_at() == snapshot.created_at;
    let is_removable = is_same && (args.force || exclusive.is_empty());
    if is_removable {
        let removed = exclusive.unlink();
        removed.map_err(|error| Failure::unlink(ring, &error))?;
    }
    Ok(is_removable)
}

fn is_confirmed(count: usize) -> Result<bool, Failure> {
    let rings = match count {
        1 => "this ring".into(),
        _ => format!("{count} rings"),
    };
    output::print(&format!("remove {rings}? [y/N] "))?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(Failure::input)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
