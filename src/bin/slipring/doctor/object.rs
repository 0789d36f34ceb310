//! The object that contains the ring: its permissions, its name and its file system.

use super::super::output;
use super::{Diagnosis, problem};
use nix::sys::statvfs::statvfs;
use procfs::process::{Process, all_processes};
use slipring::{Backing, Snapshot};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// A class of users that has one of the read and write permissions, but not both.
pub(super) fn mode(snapshot: &Snapshot) -> Option<Diagnosis> {
    let bits = snapshot.mode;
    let classes = [
        (0o600, "the owner"),
        (0o060, "the group"),
        (0o006, "other users"),
    ];
    let half = classes.into_iter().find(|&(both, _)| {
        let has = bits & both;
        has != 0 && has != both || has == 0 && both == 0o600
    });
    half.map(|(both, class)| {
        problem(
            format!("mode {bits:04o}: {class} cannot attach"),
            format!(
                "attaching requires read and write permission: chmod {:04o}",
                bits | both
            ),
        )
    })
}

/// Processes that have mapped a removed object of this name.
pub(super) fn removed(ring: &Backing) -> Vec<Diagnosis> {
    let Some(path) = path(ring) else {
        return Vec::new();
    };
    let mapped = format!(" {} (deleted)", path.display());
    let processes = all_processes().into_iter().flatten().flatten();
    let users: Vec<_> = processes
        .filter(|process| has_mapped(process, &mapped))
        .map(|process| process.pid().to_string())
        .collect();
    if users.is_empty() {
        return Vec::new();
    }
    vec![problem(
        format!(
            "the name was removed while process {} had the ring open",
            users.join(" and ")
        ),
        "these processes use a ring that no other process can open: restart them",
    )]
}

/// Compares lines, because the parser of `procfs` panics on a file with a short name that starts
/// with `/SYSV`.
fn has_mapped(process: &Process, mapped: &str) -> bool {
    let maps = process.open_relative("maps").map(BufReader::new);
    maps.is_ok_and(|maps| {
        let mut lines = maps.lines().map_while(Result::ok);
        lines.any(|line| line.ends_with(mapped))
    })
}

/// Reports a file system that is almost full.
pub(super) fn space(ring: &Backing) -> Option<Diagnosis> {
    /// The divisor of the size that gives the least free space.
    const ALMOST: u64 = 10;
    let path = path(ring)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let system = statvfs(directory).ok()?;
    let (all, free) = (system.blocks(), system.blocks_available());
    if all == 0 || free.saturating_mul(ALMOST) > all {
        return None;
    }
    let bytes = |blocks: u64| output::bytes(blocks.saturating_mul(system.fragment_size()));
    Some(problem(
        format!(
            "{} is almost full: {} of {} left",
            directory.display(),
            bytes(free),
            bytes(all)
        ),
        "slipring gc removes rings without participants; new rings will not fit",
    ))
}

fn path(ring: &Backing) -> Option<PathBuf> {
    match ring.as_str().strip_prefix("file:") {
        Some(path) => fs::canonicalize(path).ok().or_else(|| Some(path.into())),
        None => Some(Path::new("/dev/shm").join(ring.as_str().strip_prefix('/')?)),
    }
}
