//! `slipring doctor`.

use super::args::Doctor;
use super::failure::Failure;
use super::{output, people, rings};
use nix::sys::statvfs::statvfs;
use slipring::error::OpenError;
use slipring::{Backing, Kind, Observer, Occupancy, Peek, Role, Seat, Snapshot};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Something that is wrong, or may be, and what to do about it.
struct Finding {
    is_wrong: bool,
    what: String,
    advice: String,
}

fn wrong(what: String, advice: impl Into<String>) -> Finding {
    Finding {
        is_wrong: true,
        what,
        advice: advice.into(),
    }
}

fn note(what: String, advice: impl Into<String>) -> Finding {
    Finding {
        is_wrong: false,
        ..wrong(what, advice)
    }
}

pub(crate) fn run(asked: &Doctor) -> Result<(), Failure> {
    let ring = &asked.ring;
    let observer = match Observer::open(ring) {
        Ok(observer) => observer,
        Err(error) => {
            print(&removed(ring))?;
            if let Some(finding) = broken(ring, &error) {
                print(&[finding])?;
            }
            return Err(Failure::open(ring, &error));
        }
    };
    if asked.repair {
        repair(ring)?;
    }
    let snapshot = rings::snapshot(ring, &observer)?;
    let mut findings = examine(ring, &observer, &snapshot);
    findings.extend(removed(ring));
    findings.extend(space(ring));
    print(&findings)?;
    match findings.iter().filter(|finding| finding.is_wrong).count() {
        0 if findings.is_empty() => output::print("nothing is wrong\n"),
        0 => output::print("nothing needs mending\n"),
        1 => Err(Failure::of(ring, "something is wrong")),
        several => Err(Failure::of(ring, format!("{several} things are wrong"))),
    }
}

fn print(findings: &[Finding]) -> Result<(), Failure> {
    let mut text = String::new();
    for Finding { what, advice, .. } in findings {
        let [what, advice] = [what, advice].map(|said| output::plain(said));
        let _ = writeln!(text, "{what}\n    {advice}");
    }
    output::print(&text)
}

fn repair(ring: &Backing) -> Result<(), Failure> {
    let recovered = slipring::recover(ring);
    let done = recovered.map_err(|error| Failure::of(ring, error))?;
    output::print(&format!(
        "recovered: {} of the dead settled, {} positions made tombstones, {} messages dropped, \
         {} wait for a receiver, {} positions undecided\n",
        done.settled, done.tombstones, done.dropped, done.waiting, done.undecided
    ))
}

fn broken(ring: &Backing, error: &OpenError) -> Option<Finding> {
    let what = format!("the ring can't be used: {error}");
    match error {
        OpenError::Version { .. } | OpenError::UnknownFlags { .. } => Some(wrong(
            what,
            "it was made by another version; use a tool of that one",
        )),
        OpenError::Truncated { .. } | OpenError::Inconsistent { .. } => Some(wrong(
            what,
            format!(
                "nobody can take part any more: slipring rm --force {}, and make a new one",
                output::word(ring)
            ),
        )),
        _ => None,
    }
}

fn examine(ring: &Backing, observer: &Observer, snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    if snapshot.is_closed {
        let what = "the ring is closed, for good";
        findings.push(note(what.into(), "make a new one when it is drained"));
    }
    for seat in &snapshot.seats {
        findings.extend(holder(ring, snapshot, seat));
    }
    findings.extend(hole(observer, snapshot));
    findings.extend(growth(ring, snapshot));
    findings.extend(behind(snapshot));
    let depth = snapshot.len();
    let has = |role| rings::count(snapshot, role, Occupancy::Alive) > 0;
    if depth > 0 && !has(Role::Consumer) {
        findings.push(wrong(
            format!("{depth} messages wait, and nobody receives them"),
            "start the receiver; slipring tap shows what waits, slipring recv takes it out",
        ));
    } else if is_full(snapshot) {
        findings.push(note(
            format!("the ring is full: {depth} messages"),
            "the receivers are slower than the senders, or one of them is stuck",
        ));
    }
    if snapshot.has_orphans && has(Role::Consumer) {
        findings.push(note(
            "messages of dead consumers wait for a live one".into(),
            "a receiver takes them when it finds the ring empty",
        ));
    }
    findings.extend(mode(snapshot));
    findings
}

fn is_full(snapshot: &Snapshot) -> bool {
    let newest = snapshot.segments.last();
    newest.is_some_and(|newest| newest.len() == newest.capacity)
}

/// What keeps the old ring of one that grows from going.
fn growth(ring: &Backing, snapshot: &Snapshot) -> Option<Finding> {
    let oldest = rings::old(snapshot).first()?;
    let what = format!("the ring is growing: {}", rings::growth(snapshot)?);
    let claims = |seat: &&Seat| {
        let claim = seat.intent.as_ref();
        claim.is_some_and(|claim| claim.start < oldest.tail)
    };
    let claimants: Vec<_> = snapshot.seats.iter().filter(claims).collect();
    let is_dead = |seat: &&Seat| seat.occupancy != Occupancy::Alive;
    let pids: Vec<_> = claimants.iter().map(|seat| seat.pid.to_string()).collect();
    let advice = match &*pids {
        _ if !oldest.is_empty() => "receivers take what is left, and then go on".into(),
        [] if !oldest.is_ended => "the sender goes on when it sends next".into(),
        [] => "the old one goes when somebody sends, receives or attaches next".into(),
        _ if claimants.iter().all(is_dead) => format!(
            "the old one goes when what the dead had begun is finished: slipring doctor --repair {}",
            output::word(ring)
        ),
        pids => format!(
            "the old one stays for what process {} may have claimed in it",
            pids.join(" and ")
        ),
    };
    Some(note(what, advice))
}

/// Who has not come to the newest ring.
fn behind(snapshot: &Snapshot) -> Option<Finding> {
    let behind = snapshot
        .seats
        .iter()
        .filter(|seat| snapshot.is_behind(seat));
    let who: Vec<_> = behind
        .map(|seat| format!("process {} ({})", seat.pid, seat.role))
        .collect();
    let older: u64 = rings::old(snapshot).iter().map(|old| old.size).sum();
    let kept = output::bytes(snapshot.retired.saturating_add(older));
    (!who.is_empty()).then(|| {
        note(
            format!(
                "not come to the newest ring yet: {}; {kept} bytes of older ones stay",
                who.join(", ")
            ),
            "a producer goes on when it pushes next, a consumer when it pops next",
        )
    })
}

/// What a seat's holder, or its death, means to the others.
fn holder(ring: &Backing, snapshot: &Snapshot, seat: &Seat) -> Option<Finding> {
    let (role, pid) = (seat.role, seat.pid);
    let claimed = match &seat.intent {
        Some(claim) if claim.end - claim.start > 1 => {
            format!("positions {} to {}", claim.start, claim.end - 1)
        }
        Some(claim) => format!("position {}", claim.start),
        None => String::new(),
    };
    match seat.occupancy {
        Occupancy::Dead if seat.intent.is_some() => Some(wrong(
            format!("a dead {role}, process {pid}, may have claimed {claimed}"),
            format!(
                "whoever is refused finishes what it had begun; to do it now: slipring doctor --repair {}",
                output::word(ring)
            ),
        )),
        Occupancy::Dead => Some(note(
            format!(
                "the last {role} of seat {}, process {pid}, has died",
                seat.number
            ),
            match snapshot.kind {
                Kind::Spsc => "whoever takes the seat goes on where it stopped",
                _ => "it left nothing to be done",
            },
        )),
        Occupancy::Alive => {
            let person = people::find(snapshot, seat).filter(|person| person.is_stopped)?;
            let who = format!("a {role}, process {pid} ({}), is stopped", person.command);
            Some(match seat.intent {
                Some(_) => wrong(
                    format!("{who}, and may have claimed {claimed}"),
                    format!("the others wait for it: kill -CONT {pid}, or kill -KILL {pid}"),
                ),
                None => note(who, format!("it goes on with kill -CONT {pid}")),
            })
        }
        _ => None,
    }
}

/// The next position, if somebody has claimed it and has not filled it.
fn hole(observer: &Observer, snapshot: &Snapshot) -> Option<Finding> {
    let head = snapshot.head;
    let is_claimed = snapshot.kind == Kind::Mpmc && !snapshot.is_empty();
    let is_hole = is_claimed && observer.peek(head, &mut Vec::new()).ok()? == Peek::NotYet;
    if !is_hole {
        return None;
    }
    let covers = |seat: &&Seat| {
        let claim = seat.intent.as_ref();
        claim.is_some_and(|claim| claim.contains(&head))
    };
    let claimants: Vec<_> = snapshot.seats_of(Role::Producer).filter(covers).collect();
    let pids: Vec<_> = claimants.iter().map(|seat| seat.pid.to_string()).collect();
    let what = format!("position {head}, the next one, is claimed and not filled");
    Some(match &*pids {
        [] => note(what, "its claimant is just filling it"),
        pids => note(what, format!("by process {}", pids.join(" or "))),
    })
}

/// Who may look at the ring, and not take part in it.
fn mode(snapshot: &Snapshot) -> Option<Finding> {
    let bits = snapshot.mode;
    let classes = [
        (0o600, "its owner"),
        (0o060, "its group"),
        (0o006, "others"),
    ];
    let half = classes.into_iter().find(|&(both, _)| {
        let has = bits & both;
        has != 0 && has != both || has == 0 && both == 0o600
    });
    half.map(|(both, who)| {
        wrong(
            format!("mode {bits:04o}: {who} can't take part"),
            format!(
                "taking part needs reading and writing: chmod {:04o}",
                bits | both
            ),
        )
    })
}

/// Processes that have a ring open that had the name before.
fn removed(ring: &Backing) -> Vec<Finding> {
    let Some(path) = path(ring) else {
        return Vec::new();
    };
    let mapped = format!(" {} (deleted)", path.display());
    let has_mapped = |pid: &String| {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"));
        maps.is_ok_and(|maps| maps.lines().any(|line| line.ends_with(&mapped)))
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let pids = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let users: Vec<String> = pids.filter(has_mapped).collect();
    if users.is_empty() {
        return Vec::new();
    }
    vec![wrong(
        format!(
            "the name was removed while process {} had the ring open",
            users.join(" and ")
        ),
        "they go on with a ring that nobody else can open: start them again",
    )]
}

/// Whether the file system of the ring has almost no room for others.
fn space(ring: &Backing) -> Option<Finding> {
    const ALMOST: u64 = 10;
    let path = path(ring)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let about = statvfs(directory).ok()?;
    let (all, free) = (about.blocks(), about.blocks_available());
    if all == 0 || free.saturating_mul(ALMOST) > all {
        return None;
    }
    let bytes = |blocks: u64| output::bytes(blocks.saturating_mul(about.fragment_size()));
    Some(wrong(
        format!(
            "{} is almost full: {} of {} bytes are left",
            directory.display(),
            bytes(free),
            bytes(all)
        ),
        "slipring gc removes rings that nobody holds; new rings will not fit",
    ))
}

fn path(ring: &Backing) -> Option<PathBuf> {
    match ring.strip_prefix("file:") {
        Some(path) => fs::canonicalize(path).ok().or_else(|| Some(path.into())),
        None => Some(Path::new("/dev/shm").join(ring.strip_prefix('/')?)),
    }
}
