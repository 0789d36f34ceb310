//! The second program of a full run: this one, built by a nightly compiler for the subjects that need
//! it. It runs an experiment again, for them, slipring and the floor only, so that their ratios too are
//! those of the same round.

use crate::earlier;
use crate::measure::Effort;
use crate::record::Record;
use crate::subjects::ELSEWHERE;
use crate::workload::Experiment;
use clap::ValueEnum;
use bench_support::{Result, run_on_any};
use std::cell::OnceCell;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who takes part, by parts of their names: also the older of what only the second program has.
const SUBJECTS: &str = "slipring,shaq,copy through,raw futex";

pub(crate) struct Second {
    processors: [usize; 2],
    seconds: f64,
    output: PathBuf,
    /// Built when it is first needed; or why it isn't there.
    program: OnceCell<std::result::Result<PathBuf, String>>,
}

impl Second {
    /// Its subjects are fewer: half the time gives each of them as many slices.
    pub(crate) fn new(processors: [usize; 2], effort: Effort, output: &Path) -> Self {
        Self {
            processors,
            seconds: effort.time.as_secs_f64() / 2.0,
            output: output.join("second"),
            program: OnceCell::new(),
        }
    }

    /// Puts what it finds in the place of what this program couldn't measure.
    pub(crate) fn complete(&self, experiment: &Experiment, found: &mut Vec<Record>) -> Result<()> {
        if !found.iter().any(is_elsewhere) {
            return Ok(());
        }
        // What this program starts inherits where it may run, and it was kept on one processor.
        run_on_any(&self.processors)?;
        match self.program.get_or_init(build) {
            Ok(program) => merge(found, self.measure(program, experiment)?),
            Err(reason) => {
                for record in found.iter_mut().filter(|record| is_elsewhere(record)) {
                    record.reason = Some(format!("{ELSEWHERE}: {reason}"));
                }
            }
        }
        Ok(())
    }

    fn measure(&self, program: &Path, experiment: &Experiment) -> Result<Vec<Record>> {
        let workload = experiment.workload.to_possible_value();
        let workload = workload.ok_or("a workload without a name")?;
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
            return Err(format!("the second program: {status}").into());
        }
        let mut records = earlier(&self.output)?;
        records.retain(|record| record.workload == experiment.to_string());
        Ok(records)
    }
}

fn is_elsewhere(record: &Record) -> bool {
    record.reason.as_deref() == Some(ELSEWHERE)
}

/// The program, beside this one, or why there is none.
fn build() -> std::result::Result<PathBuf, String> {
    if cfg!(debug_assertions) {
        return Err("not beside an unoptimised program".to_owned());
    }
    let rustup = |command: &[&str]| {
        let mut rustup = Command::new("rustup");
        rustup.args(["run", "nightly"]).args(command);
        rustup
    };
    let version = rustup(&["rustc", "--version"]).output();
    let version = version.map_err(|error| format!("rustup: {error}"))?;
    if !version.status.success() {
        return Err("no toolchain `nightly`".to_owned());
    }
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let target = own.ancestors().nth(2).ok_or("no place for it")?;
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
            Err(format!("{} does not build it", version.trim()))
        }
    }
}

/// A placement that only the second program met comes as it is.
fn merge(found: &mut Vec<Record>, beside: Vec<Record>) {
    let there = |record: &Record| {
        let is_same =
            |it: &&Record| (&it.subject, &it.placement) == (&record.subject, &record.placement);
        beside.iter().find(is_same)
    };
    let absent = found.iter().filter(|record| is_elsewhere(record));
    let newcomers: Vec<String> = absent.map(|record| record.subject.clone()).collect();
    for record in &mut *found {
        match there(record) {
            Some(measured) if is_elsewhere(record) => *record = measured.clone(),
            None if is_elsewhere(record) => record.reason = None,
            // Whoever is ahead of ours there is a rival as good as those here.
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
