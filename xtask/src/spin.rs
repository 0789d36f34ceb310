//! The protocol's models under Spin: each must pass, and each seeded bug must be found.

use crate::passes::{root, target};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A model, or a bug seeded in it.
struct Case {
    name: &'static str,
    file: &'static str,
    /// What the preprocessor is told.
    defines: &'static str,
}

const fn mpmc(name: &'static str, defines: &'static str) -> Case {
    let file = "mpmc.pml";
    Case {
        name,
        file,
        defines,
    }
}

const fn window(name: &'static str, defines: &'static str) -> Case {
    let file = "mpmc_window.pml";
    Case {
        name,
        file,
        defines,
    }
}

const fn grow(name: &'static str, defines: &'static str) -> Case {
    let file = "grow.pml";
    Case {
        name,
        file,
        defines,
    }
}

const fn grow_spsc(name: &'static str, defines: &'static str) -> Case {
    let file = "grow_spsc.pml";
    Case {
        name,
        file,
        defines,
    }
}

const fn event(name: &'static str, file: &'static str, defines: &'static str) -> Case {
    Case {
        name,
        file,
        defines,
    }
}

const MODELS: [Case; 33] = [
    mpmc("a producer and two consumers", "-DNP=1 -DNC=2 -DM=3"),
    mpmc("two producers and a consumer", "-DNP=2 -DNC=1 -DM=3"),
    mpmc("three consumers", "-DNP=0 -DNC=3 -DPRE=2 -DM=2"),
    mpmc(
        "two and two, single claims",
        "-DNP=2 -DNC=2 -DM=1 -DMAXB=1 -DLIVES=0",
    ),
    mpmc(
        "three of one claim left by a dead consumer",
        "-DNP=0 -DNC=3 -DCAP=4 -DPRE=3 -DM=3 -DMAXB=3 -DDEAD=3 -DCRASHES=1",
    ),
    mpmc(
        "the same, with more messages behind",
        "-DNP=0 -DNC=3 -DCAP=8 -DPRE=6 -DM=6 -DMAXB=3 -DDEAD=3 -DCRASHES=0 -DLIVES=0",
    ),
    mpmc(
        "every load by itself",
        "-DNP=1 -DNC=2 -DM=2 -DCRASHES=1 -DFINE_LOOK",
    ),
    mpmc("at most once", "-DNP=1 -DNC=2 -DM=2 -DAT_MOST_ONCE"),
    mpmc(
        "old answers about the living",
        "-DNP=1 -DNC=2 -DM=2 -DSTALE",
    ),
    mpmc(
        "the count stored after the position",
        "-DNP=1 -DNC=2 -DM=2 -DCOUNT_AFTER_POSITION",
    ),
    mpmc(
        "taken in place, shrunk to what is held",
        "-DNP=0 -DNC=3 -DPRE=2 -DM=2 -DIN_PLACE=3",
    ),
    mpmc(
        "hang-up, three consumers",
        "-DHANGUP=1 -DNP=0 -DNC=3 -DPRE=1 -DM=1",
    ),
    mpmc(
        "hang-up, a producer and two consumers",
        "-DHANGUP=1 -DNP=1 -DNC=2 -DM=2",
    ),
    mpmc(
        "hang-up, a producer and three consumers",
        "-DHANGUP=1 -DNP=1 -DNC=3 -DM=1 -DMAXB=1 -DCRASHES=1",
    ),
    mpmc(
        "hang-up, for a producer",
        "-DHANGUP=2 -DNP=1 -DNC=2 -DPRE=2 -DM=3 -DMAXB=1",
    ),
    grow("growth, one and one, two deaths", "-DCRASHES=2"),
    grow("growth, a producer and two consumers", "-DNC=2 -DM=2"),
    grow(
        "growth, two producers and a consumer",
        "-DNP=2 -DM=2 -DLIVES=0",
    ),
    grow("two who grow it", "-DGROWERS=2 -DM=2"),
    grow(
        "a second growth during the first",
        "-DGROWS=2 -DM=2 -DLIVES=0",
    ),
    grow("growth and close", "-DCLOSE=1 -DM=2"),
    grow(
        "two growths and close",
        "-DCLOSE=1 -DGROWS=2 -DM=1 -DLIVES=0",
    ),
    grow("growth and hang-up", "-DHANGUP=1 -DM=1 -DCRASHES=2"),
    grow(
        "growth and hang-up, two consumers",
        "-DHANGUP=1 -DNC=2 -DM=1 -DLIVES=0",
    ),
    grow(
        "growth and sleepers",
        "-DSLEEP=1 -DNC=2 -DM=2 -DCRASHES=0 -DLIVES=0",
    ),
    grow_spsc("growth, one to one", "-DCRASHES=2"),
    grow_spsc(
        "the same, a second during the first",
        "-DCRASHES=1 -DGROWS=2 -DLIVES=1 -DM=3",
    ),
    grow_spsc(
        "the same, newcomers",
        "-DLATE=1 -DCRASHES=1 -DLIVES=1 -DM=2",
    ),
    grow_spsc(
        "the same and close",
        "-DCLOSE=1 -DM=2 -DCRASHES=1 -DLIVES=1",
    ),
    grow_spsc("the same and hang-up", "-DHANGUP=1"),
    window("stamps that wrap", ""),
    event("sleep and wake", "event.pml", "-DFIX=1"),
    event(
        "sleep and wake, out of order",
        "event_order.pml",
        "-DBATON=1",
    ),
];

/// In the smallest model that shows it.
const BUGS: [Case; 85] = [
    mpmc(
        "nobody asks who lives (consumers)",
        "-DNP=1 -DNC=2 -DM=2 -DNO_LIVE_CHECK",
    ),
    mpmc(
        "nobody asks who lives (producers)",
        "-DNP=2 -DNC=1 -DM=3 -DNO_LIVE_CHECK",
    ),
    mpmc(
        "the slot is looked at first (consumers)",
        "-DNP=1 -DNC=2 -DM=2 -DSLOT_FIRST",
    ),
    mpmc(
        "the slot is looked at first (producers)",
        "-DNP=2 -DNC=1 -DM=3 -DSLOT_FIRST",
    ),
    mpmc(
        "the dead one's intent is cleared first",
        "-DNP=1 -DNC=2 -DM=2 -DCLEAR_FIRST",
    ),
    mpmc(
        "it is cleared though some is left",
        "-DNP=0 -DNC=3 -DPRE=2 -DM=2 -DCLEAR_ALWAYS",
    ),
    mpmc(
        "the adopter takes the whole range",
        "-DNP=0 -DNC=3 -DPRE=2 -DM=2 -DWHOLE_RANGE",
    ),
    mpmc(
        "a seat is taken unsettled",
        "-DNP=1 -DNC=2 -DM=2 -DSEAT_UNSETTLED",
    ),
    mpmc("recovery without its lock", "-DNP=1 -DNC=2 -DM=2 -DNO_LOCK"),
    mpmc(
        "the dead are asked for before the lock",
        "-DNP=1 -DNC=2 -DM=2 -DASKED_BEFORE",
    ),
    mpmc(
        "the intent after the claim",
        "-DNP=1 -DNC=2 -DM=2 -DINTENT_AFTER_CAS",
    ),
    mpmc(
        "the count after the claim",
        "-DNP=1 -DNC=2 -DM=2 -DCOUNT_AFTER_CAS",
    ),
    mpmc(
        "in place, shrunk to the first run (one stale claim)",
        "-DNP=0 -DNC=3 -DCAP=8 -DPRE=6 -DM=6 -DMAXB=3 -DDEAD=3 -DCRASHES=0 -DLIVES=0 -DIN_PLACE=2",
    ),
    mpmc(
        "in place, shrunk to the first run (two)",
        "-DNP=0 -DNC=4 -DCAP=4 -DPRE=3 -DM=3 -DMAXB=3 -DDEAD=3 -DCRASHES=0 -DLIVES=0 -DIN_PLACE=2",
    ),
    mpmc(
        "in place, the count shrunk first",
        "-DNP=0 -DNC=3 -DPRE=2 -DM=2 -DIN_PLACE=3 -DSHRINK_COUNT_FIRST",
    ),
    mpmc(
        "a new claim with the old one in hand",
        "-DNP=1 -DNC=2 -DM=2 -DSTART_HOLDING",
    ),
    mpmc(
        "the intent is cleared at leaving, with messages in hand",
        "-DNP=1 -DNC=2 -DM=2 -DLEAVE_CLEARS",
    ),
    mpmc(
        "an answer without another look at the index",
        "-DNP=1 -DNC=2 -DM=2 -DCRASHES=0 -DFINE_LOOK -DUNCONFIRMED",
    ),
    mpmc(
        "Empty, the last lap's message still being read: it occurs",
        "-DNP=1 -DNC=2 -DM=3 -DCRASHES=0 -DLAP_REACHED",
    ),
    mpmc(
        "hang-up without a look at the intents",
        "-DHANGUP=1 -DNP=0 -DNC=3 -DPRE=1 -DM=1 -DNO_STEP_4",
    ),
    mpmc(
        "hang-up without popping again",
        "-DHANGUP=1 -DNP=0 -DNC=3 -DPRE=1 -DM=1 -DNO_REPOP",
    ),
    mpmc(
        "hang-up looks at the intents without the lock",
        "-DHANGUP=1 -DNP=0 -DNC=3 -DPRE=1 -DM=1 -DSCAN_UNLOCKED",
    ),
    mpmc(
        "hang-up without the roll",
        "-DHANGUP=1 -DNP=1 -DNC=2 -DM=1 -DMAXB=1 -DCRASHES=1 -DNO_ROLL",
    ),
    mpmc(
        "the roll raised before the seat's lock",
        "-DHANGUP=1 -DNP=1 -DNC=2 -DM=1 -DMAXB=1 -DCRASHES=1 -DROLL_BEFORE_LOCK",
    ),
    mpmc(
        "the roll raised after ACTIVE",
        "-DHANGUP=1 -DNP=1 -DNC=2 -DM=1 -DMAXB=1 -DCRASHES=1 -DROLL_AFTER_ACTIVE",
    ),
    mpmc(
        "a producer's hang-up without the roll",
        "-DHANGUP=2 -DNP=1 -DNC=2 -DPRE=2 -DM=3 -DMAXB=1 -DNO_ROLL",
    ),
    mpmc(
        "Disconnected: it occurs",
        "-DHANGUP=1 -DNP=1 -DNC=2 -DM=1 -DMAXB=1 -DCRASHES=1 -DANSWER_REACHED",
    ),
    grow("growth: the seal beside the tail", "-DSEAL_BESIDE"),
    grow("growth: sealed before it is recorded", "-DSEAL_FIRST"),
    grow(
        "growth: flagged after it is sealed",
        "-DCLOSE=1 -DM=2 -DFLAG_LAST",
    ),
    grow(
        "growth without the recovery lock",
        "-DGROW_UNLOCKED -DNP=2 -DNC=0 -DLATE=1 -DM=2 -DLIVES=0",
    ),
    grow(
        "growth without its own lock",
        "-DBUILD_UNLOCKED -DGROWERS=2 -DM=1",
    ),
    grow(
        "a dead grower's work is left",
        "-DHANGUP=1 -DM=1 -DNO_FINISH -DCRASHES=2 -DLIVES=0",
    ),
    grow("a close is left half done", "-DCLOSE=1 -DM=2 -DHALF_CLOSED"),
    grow(
        "close does not look at ENDING",
        "-DCLOSE=1 -DM=2 -DBLIND_CLOSE",
    ),
    grow(
        "growth does not look at CLOSED",
        "-DCLOSE=1 -DM=2 -DBLIND_GROW",
    ),
    grow(
        "Closed is said of a sealed stage",
        "-DCLOSE=1 -DM=2 -DCLOSED_ANYWHERE",
    ),
    grow("consumers follow past a hole", "-DFOLLOW_EARLY"),
    grow("producers follow a record", "-DFOLLOW_UNSEALED"),
    grow("retired with a message in a hand", "-DRETIRE_HELD"),
    grow("hands are looked at before head", "-DRETIRE_LOOKS_BACK"),
    grow("the last slot is given back too", "-DGIVE_ALL_BACK"),
    grow("recovery of a retired stage", "-DRECOVER_RETIRED"),
    grow("nobody visits the older stage", "-DNO_VISIT -DNC=2 -DM=2"),
    grow("a newcomer begins at the newest stage", "-DBEGIN_AT_NEWEST"),
    grow("a seat that owes something further on", "-DOTHER_SEAT"),
    grow(
        "an orphan is adopted into the wrong entry",
        "-DADOPT_HERE -DNC=2 -DM=2",
    ),
    grow(
        "growth and hang-up without the roll",
        "-DHANGUP=1 -DM=1 -DNO_ROLL",
    ),
    grow(
        "hang-up asks its own stage",
        "-DHANGUP=1 -DNC=2 -DM=1 -DLIVES=0 -DOWN_STAGE",
    ),
    grow(
        "growth and hang-up without the intents",
        "-DHANGUP=1 -DNC=2 -DM=1 -DLIVES=0 -DNO_INTENTS",
    ),
    grow(
        "the intents before the heads",
        "-DHANGUP=1 -DNC=2 -DM=1 -DLIVES=0 -DINTENTS_FIRST",
    ),
    grow(
        "the seal wakes nobody",
        "-DSLEEP=1 -DNC=2 -DM=2 -DCRASHES=0 -DLIVES=0 -DNO_WAKE_SEAL",
    ),
    grow(
        "who passes wakes nobody",
        "-DSLEEP=1 -DNC=2 -DM=2 -DCRASHES=0 -DLIVES=0 -DNO_WAKE_PASS",
    ),
    grow("a stage is retired: it occurs", "-DRETIRE_REACHED"),
    grow(
        "orphans of an older stage: it occurs",
        "-DADOPTED_REACHED -DNC=2 -DM=2",
    ),
    grow("a seat is taken in place: it occurs", "-DIN_PLACE_REACHED"),
    grow(
        "Closed after growth: it occurs",
        "-DCLOSE=1 -DM=2 -DCLOSED_REACHED",
    ),
    grow(
        "Disconnected after growth: it occurs",
        "-DHANGUP=1 -DM=1 -DANSWER_REACHED",
    ),
    grow_spsc("MOVED over a message", "-DMARK_UNFREE"),
    grow_spsc("a successor past MOVED", "-DPAST_MARK"),
    grow_spsc("a successor past MOVED, by the hint", "-DPAST_TOLD"),
    grow_spsc("MOVED released", "-DRELEASE_MARK"),
    grow_spsc("a consumer follows without MOVED", "-DFOLLOW_EARLY"),
    grow_spsc("asked for before it is recorded", "-DASK_FIRST"),
    grow_spsc(
        "one to one, growth without its own lock",
        "-DBUILD_UNLOCKED -DGROWERS=2 -DM=1 -DCRASHES=0",
    ),
    grow_spsc(
        "one to one, a close is left half done",
        "-DCLOSE=1 -DM=2 -DCRASHES=1 -DLIVES=1 -DHALF_CLOSED",
    ),
    grow_spsc(
        "one to one, close does not look at ENDING",
        "-DCLOSE=1 -DM=2 -DCRASHES=0 -DBLIND_CLOSE",
    ),
    grow_spsc(
        "one to one, growth does not look at CLOSED",
        "-DCLOSE=1 -DM=2 -DCRASHES=0 -DBLIND_GROW",
    ),
    grow_spsc(
        "who reads both moves",
        "-DCLOSE=1 -DM=2 -DCRASHES=0 -DENDING_WINS",
    ),
    grow_spsc(
        "CLOSED is read after the slot",
        "-DCLOSE=1 -DM=2 -DCRASHES=0 -DLOOK_FIRST",
    ),
    grow_spsc("retired before MOVED", "-DRETIRE_EARLY"),
    grow_spsc(
        "retired without the lock",
        "-DRETIRE_UNLOCKED -DLATE=1 -DCRASHES=1 -DLIVES=0 -DM=1",
    ),
    grow_spsc(
        "the lock is given back before the place is found",
        "-DWALK_UNLOCKED -DLATE=1 -DCRASHES=1 -DLIVES=0 -DM=1",
    ),
    grow_spsc(
        "one look at the successor",
        "-DONE_LOOK -DLATE=1 -DCRASHES=1 -DLIVES=0 -DM=1",
    ),
    grow_spsc(
        "one to one, hang-up without the roll",
        "-DHANGUP=1 -DNO_ROLL -DCRASHES=1 -DLIVES=1 -DM=2",
    ),
    grow_spsc(
        "one to one, hang-up without popping again",
        "-DHANGUP=1 -DNO_REPOP -DCRASHES=1 -DLIVES=0 -DM=1",
    ),
    grow_spsc(
        "one to one, a stage is retired: it occurs",
        "-DRETIRE_REACHED",
    ),
    grow_spsc(
        "one to one, Closed after growth: it occurs",
        "-DCLOSE=1 -DM=2 -DCRASHES=0 -DCLOSED_REACHED",
    ),
    grow_spsc(
        "one to one, Disconnected after growth: it occurs",
        "-DHANGUP=1 -DANSWER_REACHED -DCRASHES=1 -DLIVES=0 -DM=1",
    ),
    window(
        "producers: the window only before the slot",
        "-DPRODUCERS=1",
    ),
    window("producers: no window", "-DPRODUCERS=0"),
    window(
        "consumers: the window only before the slot",
        "-DCONSUMERS=1",
    ),
    window("consumers: no window", "-DCONSUMERS=0"),
    event(
        "the bit cleared without a second wake",
        "event.pml",
        "-DFIX=0",
    ),
    event("nobody wakes the next", "event_order.pml", "-DBATON=0"),
];

/// What a search said.
enum Verdict {
    Passed { states: String },
    Found { error: String },
}

/// Searches what has `part` in its name or in its model's.
pub(crate) fn run(part: &str) -> Result<(), String> {
    let mut failed = 0;
    let start = Instant::now();
    let is_meant = |case: &&Case| case.name.contains(part) || case.file.contains(part);
    println!("models");
    for case in MODELS.iter().filter(is_meant) {
        failed += usize::from(!case.report(|verdict| matches!(verdict, Verdict::Passed { .. }))?);
    }
    println!("\nseeded bugs");
    for case in BUGS.iter().filter(is_meant) {
        failed += usize::from(!case.report(|verdict| matches!(verdict, Verdict::Found { .. }))?);
    }
    println!("{:>8.2} s in all", start.elapsed().as_secs_f64());
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} failed")),
    }
}

impl Case {
    /// Whether the search ended as it must.
    fn report(&self, must: impl Fn(&Verdict) -> bool) -> Result<bool, String> {
        let start = Instant::now();
        let verdict = self.search()?;
        let seconds = start.elapsed().as_secs_f64();
        let is_right = must(&verdict);
        let mark = if is_right { "" } else { "FAILED  " };
        let name = self.name;
        match verdict {
            Verdict::Passed { states } => {
                println!("{seconds:>8.2} s {states:>9} states  {mark}{name}");
            }
            Verdict::Found { error } => println!("{seconds:>8.2} s  {mark}{name}: {error}"),
        }
        Ok(is_right)
    }

    fn search(&self) -> Result<Verdict, String> {
        let dir = target().join("spin");
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let model = root().join("docs/models").join(self.file);
        let is_event = self.file.starts_with("event");
        let mut spin = Command::new("spin");
        spin.args(self.defines.split_whitespace())
            .arg("-a")
            .arg(model);
        demand(&dir, &mut spin)?;
        let mut gcc = Command::new("gcc");
        gcc.args(["-O2", "-w", "-DSAFETY", "-DMEMLIM=6000"]);
        if !is_event {
            // A death comes as a rendezvous in an escape, which the reduction does not know.
            gcc.args(["-DNOREDUCE", "-DCOLLAPSE"]);
        }
        demand(&dir, gcc.args(["-o", "pan", "pan.c"]))?;
        let mut pan = Command::new(dir.join("pan"));
        pan.args(["-m2000000", "-w26"]);
        if is_event {
            // Sleepers at the end are what its own assertion is about.
            pan.arg("-E");
        }
        verdict(&demand(&dir, &mut pan)?)
    }
}

/// What a command said, which must have ended well.
fn demand(dir: &Path, command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .current_dir(dir)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program}: {}\n{said}{errors}", output.status))
    }
}

fn verdict(said: &str) -> Result<Verdict, String> {
    let mut lines = said.lines();
    if let Some(error) = lines.find_map(|line| line.strip_prefix("pan:1: ")) {
        let (error, _) = error.split_once(" (at depth").unwrap_or((error, ""));
        let error = error.to_owned();
        return Ok(Verdict::Found { error });
    }
    let is_whole = said.contains("errors: 0")
        && !said.contains("max search depth too small")
        && !said.contains("Search not completed");
    let states = said
        .lines()
        .find_map(|line| line.strip_suffix(" states, stored"));
    match states {
        Some(states) if is_whole => Ok(Verdict::Passed {
            states: states.trim().to_owned(),
        }),
        _ => Err(format!("the search did not end:\n{said}")),
    }
}
