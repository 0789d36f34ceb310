//! Runs the models of the protocol under Spin: each must pass, and each seeded bug must be found.

use crate::passes::{root, target};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A configuration of a model, or a bug seeded in it.
struct Case {
    name: &'static str,
    file: &'static str,
    /// Options of the preprocessor.
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
        "outdated answers about live participants",
        "-DNP=1 -DNC=2 -DM=2 -DSTALE",
    ),
    mpmc(
        "the count stored after the position",
        "-DNP=1 -DNC=2 -DM=2 -DCOUNT_AFTER_POSITION",
    ),
    mpmc(
        "taken in place, shrunk to the held range",
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
    grow("growth, two growers", "-DGROWERS=2 -DM=2"),
    grow(
        "growth, a second one during the first",
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
        "growth and sleeping participants",
        "-DSLEEP=1 -DNC=2 -DM=2 -DCRASHES=0 -DLIVES=0",
    ),
    grow_spsc("SPSC growth", "-DCRASHES=2"),
    grow_spsc(
        "SPSC growth, a second one during the first",
        "-DCRASHES=1 -DGROWS=2 -DLIVES=1 -DM=3",
    ),
    grow_spsc(
        "SPSC growth, late participants",
        "-DLATE=1 -DCRASHES=1 -DLIVES=1 -DM=2",
    ),
    grow_spsc(
        "SPSC growth and close",
        "-DCLOSE=1 -DM=2 -DCRASHES=1 -DLIVES=1",
    ),
    grow_spsc("SPSC growth and hang-up", "-DHANGUP=1"),
    window("stamps that wrap", ""),
    event("sleep and wake", "event.pml", "-DFIX=1"),
    event(
        "sleep and wake, out of order",
        "event_order.pml",
        "-DBATON=1",
    ),
];

/// Each bug in the smallest configuration that shows it. A case that is named `reached` proves that
/// a state occurs: its assertion fails there.
const BUGS: [Case; 85] = [
    mpmc(
        "live claims are not checked (consumers)",
        "-DNP=1 -DNC=2 -DM=2 -DNO_LIVE_CHECK",
    ),
    mpmc(
        "live claims are not checked (producers)",
        "-DNP=2 -DNC=1 -DM=3 -DNO_LIVE_CHECK",
    ),
    mpmc(
        "live claims are checked after the slot (consumers)",
        "-DNP=1 -DNC=2 -DM=2 -DSLOT_FIRST",
    ),
    mpmc(
        "live claims are checked after the slot (producers)",
        "-DNP=2 -DNC=1 -DM=3 -DSLOT_FIRST",
    ),
    mpmc(
        "a dead intent is cleared before the adopter's is set",
        "-DNP=1 -DNC=2 -DM=2 -DCLEAR_FIRST",
    ),
    mpmc(
        "a dead intent is cleared with positions left",
        "-DNP=0 -DNC=3 -DPRE=2 -DM=2 -DCLEAR_ALWAYS",
    ),
    mpmc(
        "an adopter takes all positions of the dead intent",
        "-DNP=0 -DNC=3 -DPRE=2 -DM=2 -DWHOLE_RANGE",
    ),
    mpmc(
        "a seat is taken with its intent set",
        "-DNP=1 -DNC=2 -DM=2 -DSEAT_UNSETTLED",
    ),
    mpmc(
        "recovery without the recovery lock",
        "-DNP=1 -DNC=2 -DM=2 -DNO_LOCK",
    ),
    mpmc(
        "liveness is checked before the recovery lock is taken",
        "-DNP=1 -DNC=2 -DM=2 -DASKED_BEFORE",
    ),
    mpmc(
        "the intent is set after the claim",
        "-DNP=1 -DNC=2 -DM=2 -DINTENT_AFTER_CAS",
    ),
    mpmc(
        "the count is stored after the claim",
        "-DNP=1 -DNC=2 -DM=2 -DCOUNT_AFTER_CAS",
    ),
    mpmc(
        "a seat taken in place, its intent shrunk to the first run (one stale claim)",
        "-DNP=0 -DNC=3 -DCAP=8 -DPRE=6 -DM=6 -DMAXB=3 -DDEAD=3 -DCRASHES=0 -DLIVES=0 -DIN_PLACE=2",
    ),
    mpmc(
        "a seat taken in place, its intent shrunk to the first run (two)",
        "-DNP=0 -DNC=4 -DCAP=4 -DPRE=3 -DM=3 -DMAXB=3 -DDEAD=3 -DCRASHES=0 -DLIVES=0 -DIN_PLACE=2",
    ),
    mpmc(
        "a seat taken in place, its count shrunk before the position",
        "-DNP=0 -DNC=3 -DPRE=2 -DM=2 -DIN_PLACE=3 -DSHRINK_COUNT_FIRST",
    ),
    mpmc(
        "a claim is made while another one is held",
        "-DNP=1 -DNC=2 -DM=2 -DSTART_HOLDING",
    ),
    mpmc(
        "detaching clears the intent of held messages",
        "-DNP=1 -DNC=2 -DM=2 -DLEAVE_CLEARS",
    ),
    mpmc(
        "a refusal does not confirm the index",
        "-DNP=1 -DNC=2 -DM=2 -DCRASHES=0 -DFINE_LOOK -DUNCONFIRMED",
    ),
    mpmc(
        "reached: Empty while a message of the last lap is read",
        "-DNP=1 -DNC=2 -DM=3 -DCRASHES=0 -DLAP_REACHED",
    ),
    mpmc(
        "hang-up does not check intents",
        "-DHANGUP=1 -DNP=0 -DNC=3 -DPRE=1 -DM=1 -DNO_STEP_4",
    ),
    mpmc(
        "hang-up without popping again",
        "-DHANGUP=1 -DNP=0 -DNC=3 -DPRE=1 -DM=1 -DNO_REPOP",
    ),
    mpmc(
        "hang-up checks intents without the recovery lock",
        "-DHANGUP=1 -DNP=0 -DNC=3 -DPRE=1 -DM=1 -DSCAN_UNLOCKED",
    ),
    mpmc(
        "hang-up does not check arrivals",
        "-DHANGUP=1 -DNP=1 -DNC=2 -DM=1 -DMAXB=1 -DCRASHES=1 -DNO_ROLL",
    ),
    mpmc(
        "an arrival is counted before the seat lock is taken",
        "-DHANGUP=1 -DNP=1 -DNC=2 -DM=1 -DMAXB=1 -DCRASHES=1 -DROLL_BEFORE_LOCK",
    ),
    mpmc(
        "an arrival is counted after ACTIVE is stored",
        "-DHANGUP=1 -DNP=1 -DNC=2 -DM=1 -DMAXB=1 -DCRASHES=1 -DROLL_AFTER_ACTIVE",
    ),
    mpmc(
        "a producer's hang-up does not check arrivals",
        "-DHANGUP=2 -DNP=1 -DNC=2 -DPRE=2 -DM=3 -DMAXB=1 -DNO_ROLL",
    ),
    mpmc(
        "reached: Disconnected",
        "-DHANGUP=1 -DNP=1 -DNC=2 -DM=1 -DMAXB=1 -DCRASHES=1 -DANSWER_REACHED",
    ),
    grow(
        "growth: the seal is not in the word of the tail",
        "-DSEAL_BESIDE",
    ),
    grow(
        "growth: sealed before the next segment is recorded",
        "-DSEAL_FIRST",
    ),
    grow(
        "growth: ENDING is stored after the seal",
        "-DCLOSE=1 -DM=2 -DFLAG_LAST",
    ),
    grow(
        "growth without the recovery lock",
        "-DGROW_UNLOCKED -DNP=2 -DNC=0 -DLATE=1 -DM=2 -DLIVES=0",
    ),
    grow(
        "growth without the growth lock",
        "-DBUILD_UNLOCKED -DGROWERS=2 -DM=1",
    ),
    grow(
        "the growth of a dead grower is not finished",
        "-DHANGUP=1 -DM=1 -DNO_FINISH -DCRASHES=2 -DLIVES=0",
    ),
    grow(
        "a half-done close is not finished",
        "-DCLOSE=1 -DM=2 -DHALF_CLOSED",
    ),
    grow("close ignores ENDING", "-DCLOSE=1 -DM=2 -DBLIND_CLOSE"),
    grow("growth ignores CLOSED", "-DCLOSE=1 -DM=2 -DBLIND_GROW"),
    grow(
        "Closed is returned in a sealed segment",
        "-DCLOSE=1 -DM=2 -DCLOSED_ANYWHERE",
    ),
    grow(
        "consumers move on past an unpublished position",
        "-DFOLLOW_EARLY",
    ),
    grow("producers move on before the seal", "-DFOLLOW_UNSEALED"),
    grow(
        "a segment is retired while a message is held",
        "-DRETIRE_HELD",
    ),
    grow(
        "retirement checks intents before head",
        "-DRETIRE_LOOKS_BACK",
    ),
    grow(
        "the slot at the final tail is reclaimed too",
        "-DGIVE_ALL_BACK",
    ),
    grow("a retired segment is recovered", "-DRECOVER_RETIRED"),
    grow(
        "consumers that moved on do not recover older segments",
        "-DNO_VISIT -DNC=2 -DM=2",
    ),
    grow(
        "a new participant starts in the newest segment",
        "-DBEGIN_AT_NEWEST",
    ),
    grow(
        "a seat is taken without checking later segments",
        "-DOTHER_SEAT",
    ),
    grow(
        "an adopter sets its intent in the wrong segment",
        "-DADOPT_HERE -DNC=2 -DM=2",
    ),
    grow(
        "growth and hang-up that does not check arrivals",
        "-DHANGUP=1 -DM=1 -DNO_ROLL",
    ),
    grow(
        "hang-up checks only its own segment",
        "-DHANGUP=1 -DNC=2 -DM=1 -DLIVES=0 -DOWN_STAGE",
    ),
    grow(
        "growth and hang-up that does not check intents",
        "-DHANGUP=1 -DNC=2 -DM=1 -DLIVES=0 -DNO_INTENTS",
    ),
    grow(
        "hang-up checks intents before heads",
        "-DHANGUP=1 -DNC=2 -DM=1 -DLIVES=0 -DINTENTS_FIRST",
    ),
    grow(
        "sealing wakes no participant",
        "-DSLEEP=1 -DNC=2 -DM=2 -DCRASHES=0 -DLIVES=0 -DNO_WAKE_SEAL",
    ),
    grow(
        "moving on wakes no participant",
        "-DSLEEP=1 -DNC=2 -DM=2 -DCRASHES=0 -DLIVES=0 -DNO_WAKE_PASS",
    ),
    grow("reached: a segment is retired", "-DRETIRE_REACHED"),
    grow(
        "reached: orphans of an older segment",
        "-DADOPTED_REACHED -DNC=2 -DM=2",
    ),
    grow("reached: a seat is taken in place", "-DIN_PLACE_REACHED"),
    grow(
        "reached: Closed after growth",
        "-DCLOSE=1 -DM=2 -DCLOSED_REACHED",
    ),
    grow(
        "reached: Disconnected after growth",
        "-DHANGUP=1 -DM=1 -DANSWER_REACHED",
    ),
    grow_spsc("SPSC: the end marker overwrites a message", "-DMARK_UNFREE"),
    grow_spsc("SPSC: a successor misses the end marker", "-DPAST_MARK"),
    grow_spsc(
        "SPSC: a successor misses the end marker before the hint",
        "-DPAST_TOLD",
    ),
    grow_spsc("SPSC: the end marker is released", "-DRELEASE_MARK"),
    grow_spsc(
        "SPSC: a consumer moves on before the end marker",
        "-DFOLLOW_EARLY",
    ),
    grow_spsc(
        "SPSC: ENDING is stored before the next segment is recorded",
        "-DASK_FIRST",
    ),
    grow_spsc(
        "SPSC: growth without the growth lock",
        "-DBUILD_UNLOCKED -DGROWERS=2 -DM=1 -DCRASHES=0",
    ),
    grow_spsc(
        "SPSC: a half-done close is not finished",
        "-DCLOSE=1 -DM=2 -DCRASHES=1 -DLIVES=1 -DHALF_CLOSED",
    ),
    grow_spsc(
        "SPSC: close ignores ENDING",
        "-DCLOSE=1 -DM=2 -DCRASHES=0 -DBLIND_CLOSE",
    ),
    grow_spsc(
        "SPSC: growth ignores CLOSED",
        "-DCLOSE=1 -DM=2 -DCRASHES=0 -DBLIND_GROW",
    ),
    grow_spsc(
        "SPSC: a producer moves on when it reads CLOSED and ENDING",
        "-DCLOSE=1 -DM=2 -DCRASHES=0 -DENDING_WINS",
    ),
    grow_spsc(
        "SPSC: CLOSED is read after the slot",
        "-DCLOSE=1 -DM=2 -DCRASHES=0 -DLOOK_FIRST",
    ),
    grow_spsc(
        "SPSC: a segment is retired before its end marker",
        "-DRETIRE_EARLY",
    ),
    grow_spsc(
        "SPSC: a segment is retired without the recovery lock",
        "-DRETIRE_UNLOCKED -DLATE=1 -DCRASHES=1 -DLIVES=0 -DM=1",
    ),
    grow_spsc(
        "SPSC: the recovery lock is released before the position is found",
        "-DWALK_UNLOCKED -DLATE=1 -DCRASHES=1 -DLIVES=0 -DM=1",
    ),
    grow_spsc(
        "SPSC: the next segment is not checked after the seat is taken",
        "-DONE_LOOK -DLATE=1 -DCRASHES=1 -DLIVES=0 -DM=1",
    ),
    grow_spsc(
        "SPSC: hang-up does not check arrivals",
        "-DHANGUP=1 -DNO_ROLL -DCRASHES=1 -DLIVES=1 -DM=2",
    ),
    grow_spsc(
        "SPSC: hang-up without popping again",
        "-DHANGUP=1 -DNO_REPOP -DCRASHES=1 -DLIVES=0 -DM=1",
    ),
    grow_spsc("reached: an SPSC segment is retired", "-DRETIRE_REACHED"),
    grow_spsc(
        "reached: Closed after SPSC growth",
        "-DCLOSE=1 -DM=2 -DCRASHES=0 -DCLOSED_REACHED",
    ),
    grow_spsc(
        "reached: Disconnected after SPSC growth",
        "-DHANGUP=1 -DANSWER_REACHED -DCRASHES=1 -DLIVES=0 -DM=1",
    ),
    window(
        "producers: the window is checked only before the slot",
        "-DPRODUCERS=1",
    ),
    window("producers: no window", "-DPRODUCERS=0"),
    window(
        "consumers: the window is checked only before the slot",
        "-DCONSUMERS=1",
    ),
    window("consumers: no window", "-DCONSUMERS=0"),
    event(
        "the bit is cleared without a second wake",
        "event.pml",
        "-DFIX=0",
    ),
    event(
        "a woken participant does not wake the next one",
        "event_order.pml",
        "-DBATON=0",
    ),
];

/// The outcome of a search.
enum Verdict {
    Passed { states: String },
    Found { error: String },
}

/// Searches the cases that have `part` in their name or in the name of their model.
pub(crate) fn run(part: &str) -> Result<(), String> {
    let mut failed = 0;
    let start = Instant::now();
    let is_selected = |case: &&Case| case.name.contains(part) || case.file.contains(part);
    println!("models");
    for case in MODELS.iter().filter(is_selected) {
        failed += usize::from(!case.report(|verdict| matches!(verdict, Verdict::Passed { .. }))?);
    }
    println!("\nseeded bugs");
    for case in BUGS.iter().filter(is_selected) {
        failed += usize::from(!case.report(|verdict| matches!(verdict, Verdict::Found { .. }))?);
    }
    println!("{:>8.2} s in all", start.elapsed().as_secs_f64());
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} failed")),
    }
}

impl Case {
    /// Searches, prints the verdict, and returns whether it is the expected one.
    fn report(&self, is_expected: impl Fn(&Verdict) -> bool) -> Result<bool, String> {
        let start = Instant::now();
        let verdict = self.search()?;
        let seconds = start.elapsed().as_secs_f64();
        let is_right = is_expected(&verdict);
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
        run_command(&dir, &mut spin)?;
        let mut gcc = Command::new("gcc");
        gcc.args(["-O2", "-w", "-DSAFETY", "-DMEMLIM=6000"]);
        if !is_event {
            // A death is a rendezvous in an escape, which partial order reduction does not support.
            gcc.args(["-DNOREDUCE", "-DCOLLAPSE"]);
        }
        run_command(&dir, gcc.args(["-o", "pan", "pan.c"]))?;
        let mut pan = Command::new(dir.join("pan"));
        pan.args(["-m2000000", "-w26"]);
        if is_event {
            // A sleeping participant at the end is a matter of the model's own assertion.
            pan.arg("-E");
        }
        verdict(&run_command(&dir, &mut pan)?)
    }
}

/// Runs a command that must succeed, and returns its output.
fn run_command(dir: &Path, command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .current_dir(dir)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(stdout)
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program}: {}\n{stdout}{errors}", output.status))
    }
}

fn verdict(output: &str) -> Result<Verdict, String> {
    let mut lines = output.lines();
    if let Some(error) = lines.find_map(|line| line.strip_prefix("pan:1: ")) {
        let (error, _) = error.split_once(" (at depth").unwrap_or((error, ""));
        let error = error.to_owned();
        return Ok(Verdict::Found { error });
    }
    let is_whole = output.contains("errors: 0")
        && !output.contains("max search depth too small")
        && !output.contains("Search not completed");
    let states = output
        .lines()
        .find_map(|line| line.strip_suffix(" states, stored"));
    match states {
        Some(states) if is_whole => Ok(Verdict::Passed {
            states: states.trim().to_owned(),
        }),
        _ => Err(format!(
            "pan: found an incomplete search, expected a whole one:\n{output}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{BUGS, MODELS};
    use crate::passes::root;
    use crate::tree::read;
    use std::collections::HashSet;

    /// A misspelt option would leave the model as it is.
    #[test]
    fn every_option_is_in_its_model() {
        for case in MODELS.iter().chain(&BUGS) {
            let model = read(&root().join("docs/models").join(case.file)).unwrap();
            let words: HashSet<_> = model
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .collect();
            for option in case.defines.split_whitespace() {
                let name = option
                    .trim_start_matches("-D")
                    .split('=')
                    .next()
                    .unwrap_or_default();
                assert!(words.contains(name), "{}: no {name}", case.file);
            }
        }
    }

    #[test]
    fn case_names_are_unique() {
        let mut names = HashSet::new();
        for case in MODELS.iter().chain(&BUGS) {
            assert!(names.insert(case.name), "{}", case.name);
        }
    }
}
