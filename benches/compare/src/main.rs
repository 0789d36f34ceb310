//! Compares slipring with other message transports and with the floors that no transport can beat.
//!
//! The distance of two cores changes while a program runs, most of all on virtual machines.
//! Therefore all subjects of an experiment take turns in short slices. An exchange of two cache
//! lines before and after each slice measures the distance. Only slices of the same round are
//! compared. The output shows medians and quartiles, separately for near and far cores.

mod bar_chart;
mod channel;
mod crew;
mod curves;
mod instance;
mod line_chart;
mod measure;
mod nightly;
mod record;
mod subjects;
mod table;
mod temp_files;
mod workload;

use bench_support::{Result, processors};
use clap::Parser;
use curves::{Axis, measure_curves};
use measure::{Effort, measure};
use nightly::NightlyProgram;
use record::{Record, records};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use temp_files::TempFiles;
use workload::{Experiment, Workload};

#[derive(Parser)]
#[command(about = "Compare slipring with other transports and with the hardware floors")]
struct Options {
    /// Run for less than a minute, with rough results
    #[arg(long)]
    quick: bool,
    /// Run only these workloads; results of other workloads are kept
    #[arg(long, value_delimiter = ',')]
    only: Vec<Workload>,
    /// Run only these message sizes
    #[arg(long, value_delimiter = ',')]
    bytes: Vec<u64>,
    /// Run only these numbers of producers (and of consumers)
    #[arg(long, value_delimiter = ',')]
    each: Vec<u64>,
    /// Run only subjects with one of these in their names
    #[arg(long, value_delimiter = ',')]
    subject: Vec<String>,
    /// Measure slipring over capacity, seats, message size and fill (up to 4 GiB of memory), or
    /// over one of them, as in `--curves=fill`
    #[arg(long, num_args = 0.., require_equals = true, value_delimiter = ',')]
    curves: Option<Vec<Axis>>,
    /// Measure nothing, and draw the charts of existing results
    #[arg(long)]
    draw: bool,
    /// Seconds for the rounds of each experiment
    #[arg(long)]
    seconds: Option<f64>,
    /// Directory for results.json and the charts
    #[arg(long, default_value = "target/compare")]
    output: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    temp_files::remove_stale();
    let [one, other, ..] = processors()?[..] else {
        return Err("processors: found fewer than 2, expected at least 2".into());
    };
    let mut effort = match options.quick {
        true => Effort::QUICK,
        false => Effort::FULL,
    };
    if let Some(seconds) = options.seconds {
        effort.time = std::time::Duration::try_from_secs_f64(seconds)?;
    }
    fs::create_dir_all(&options.output)?;
    let mut results = earlier(&options.output)?;
    let mut keep = |found: Vec<Record>| -> Result<()> {
        // A point of a curve may share its name with another curve's point, or with a workload.
        let key = |it: &Record| (it.family.clone(), it.workload.clone());
        results.retain(|old| found.iter().all(|new| key(old) != key(new)));
        results.extend(found);
        let text = serde_json::to_string_pretty(&results)?;
        Ok(fs::write(options.output.join(RESULTS), text)?)
    };
    if let Some(axes) = &options.curves {
        let axes = match &axes[..] {
            [] => &Axis::ALL[..],
            some => some,
        };
        measure_curves(axes, [one, other], keep)?;
        return draw(&results, &options.output);
    }
    let nightly = NightlyProgram::new([one, other], effort, &options.output);
    let experiments = experiments(options).filter(|_| !options.draw);
    for (index, experiment) in experiments.enumerate() {
        let temp_files = TempFiles::of(index);
        let outcome = measure(
            &experiment,
            effort,
            [one, other],
            temp_files.tag(),
            |subject| {
                let has = |part: &String| subject.name.contains(part.as_str());
                options.subject.is_empty() || options.subject.iter().any(has)
            },
        );
        let outcome = outcome.map_err(|error| format!("{experiment}: {error}"))?;
        let mut found = records(&outcome);
        if !options.quick {
            nightly.complete(&experiment, &mut found)?;
        }
        table::print(&found);
        keep(found)?;
    }
    draw(&results, &options.output)
}

fn draw(results: &[Record], directory: &Path) -> Result<()> {
    bar_chart::draw(results, directory)?;
    line_chart::draw(results, directory)
}

fn experiments(options: &Options) -> impl Iterator<Item = Experiment> {
    let workloads = Workload::ALL.iter();
    let wanted = workloads.filter(|it| options.only.is_empty() || options.only.contains(it));
    let experiments = wanted.flat_map(|workload| workload.experiments());
    experiments
        .filter(|it| options.bytes.is_empty() || options.bytes.contains(&it.bytes))
        .filter(|it| options.each.is_empty() || options.each.contains(&it.each))
}

const RESULTS: &str = "results.json";

/// The results of earlier runs.
fn earlier(output: &Path) -> Result<Vec<Record>> {
    match fs::read_to_string(output.join(RESULTS)) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
