//! The second program of a full run: this program, built with a nightly compiler for the subjects
//! that need one.
//!
//! It repeats an experiment for these subjects, slipring and the floor. So their ratios, too, are
//! ratios within a round.

use crate::earlier;
use crate::measure::Effort;
use crate::record::Record;
use crate::subjects::NEEDS_NIGHTLY;
use crate::workload::Experiment;
use bench_support::{Result, run_on_any};
use clap::ValueEnum;
use std::cell::OnceCell;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The subjects of the second program, by parts of their names. They include the older shaq.
const SUBJECTS: &str = "slipring,shaq,copy through,raw futex";

pub(crate) struct NightlyProgram {
    processors: [usize; 2],
    seconds: f64,
    output: PathBuf,
    /// The program, built at first use, or the reason why it is missing.
    program: OnceCell<std::result::Result<PathBuf, String>>,
}

impl NightlyProgram {
    /// It has fewer subjects, so each gets as many slices in half the time.
    pub(crate) fn new(processors: [usize; 2], effort: Effort, output: &Path) -> Self {
        Self {
            processors,
            seconds: effort.time.as_secs_f64() / 2.0,
            output: output.join("second"),
            program: OnceCell::new(),
        }
    }

    /// Fills in the records that this program could not measure.
    pub(crate) fn complete(&self, experiment: &Experiment, found: &mut Vec<Record>) -> Result<()> {
        if !found.iter().any(needs_nightly) {
            return Ok(());
        }
        // The second program inherits the affinity, and this process is pinned to one processor.
        run_on_any(&self.processors)?;
        match self.program.get_or_init(build) {
            Ok(program) => merge(found, self.measure(program, experiment)?),
            Err(reason) => {
                for record in found.iter_mut().filter(|record| needs_nightly(record)) {
                    record.reason = Some(format!("{NEEDS_NIGHTLY}: {reason}"));
                }
            }
        }
        Ok(())
    }

    fn measure(&self, program: &Path, experiment: &Experiment) -> Result<Vec<Record>> {
        let workload = experiment.workload.to_possible_value();
        let workload = workload.ok_or("the workload has no name")?;
        let status = Command::new(program)
            .args(["--only", workload.get_name()])
            .args(["--bytes", &experiment.bytes.to_string()])
            .args(["--each", &experiment.each.to_string()])
            .args(["--seconds", &self.seconds.to_string()])
            .args(["--subject", SUBJECTS])
            .arg("--output")
            .arg(&self.output)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(format!("second program: exited with {status}").into());
        }
        let mut records = earlier(&self.output)?;
        records.retain(|record| record.workload == experiment.to_string());
        Ok(records)
    }
}

fn needs_nightly(record: &Record) -> bool {
    record.reason.as_deref() == Some(NEEDS_NIGHTLY)
}

/// Builds the program beside this one. Returns the reason if that fails.
fn build() -> std::result::Result<PathBuf, String> {
    if cfg!(debug_assertions) {
        return Err("this program is a debug build".to_owned());
    }
    let rustup = |command: &[&str]| {
        let mut rustup = Command::new("rustup");
        rustup.args(["run", "nightly"]).args(command);
        rustup
    };
    let version = rustup(&["rustc", "--version"]).output();
    let version = version.map_err(|error| format!("rustup: {error}"))?;
    if !version.status.success() {
        return Err("toolchain `nightly` is not installed".to_owned());
    }
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let target = own
        .ancestors()
        .nth(2)
        .ok_or("the program has no target directory")?;
    let target = target.join("nightly");
    let status = rustup(&[
        "cargo",
        "build",
        "--release",
        "--locked",
        "--features",
        "shaq5",
    ])
    .args([
        "--manifest-path",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ])
    .arg("--target-dir")
    .arg(&target)
    .status();
    match status {
        Ok(status) if status.success() => Ok(target.join("release/compare")),
        _ => {
            let version = String::from_utf8_lossy(&version.stdout);
            Err(format!("{} fails to build it", version.trim()))
        }
    }
}

/// Merges the second program's records. A placement that only it met is added unchanged.
fn merge(found: &mut Vec<Record>, beside: Vec<Record>) {
    let there = |record: &Record| {
        let is_same =
            |it: &&Record| (&it.subject, &it.placement) == (&record.subject, &record.placement);
        beside.iter().find(is_same)
    };
    let absent = found.iter().filter(|record| needs_nightly(record));
    let newcomers: Vec<String> = absent.map(|record| record.subject.clone()).collect();
    for record in &mut *found {
        match there(record) {
            Some(measured) if needs_nightly(record) => *record = measured.clone(),
            None if needs_nightly(record) => record.reason = None,
            // The best rival of the second program counts if it is faster than the rivals here.
            Some(ours)
                if record.is_ours()
                    && ours.ratio_to_best_rival > record.ratio_to_best_rival
                    && ours
                        .best_rival
                        .as_ref()
                        .is_some_and(|it| newcomers.contains(it)) =>
            {
                record.ratio_to_best_rival = ours.ratio_to_best_rival;
                record.best_rival.clone_from(&ours.best_rival);
            }
            _ => {}
        }
    }
    let met: Vec<String> = found.iter().map(|it| it.placement.clone()).collect();
    found.extend(beside.into_iter().filter(|it| !met.contains(&it.placement)));
}
