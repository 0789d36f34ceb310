//! slipring beside others that move messages, and beside the floors below all of them.
//!
//! How far apart two cores are changes while a program runs, on virtual machines most of all.
//! So in every experiment all subjects take turns in short slices, an exchange of two cache lines
//! before and after each says how far apart the cores were, and what is compared are slices of
//! the same round. What is shown are medians with their quartiles, apart for near and far cores.

mod chart;
mod crew;
mod curves;
mod fabric;
mod leftovers;
mod line_chart;
mod link;
mod measure;
mod record;
mod second;
mod subjects;
mod table;
mod workload;

use clap::Parser;
use bench_support::{Result, processors};
use curves::{Axis, measure_curves};
use leftovers::Leftovers;
use measure::{Effort, measure};
use record::{Record, records};
use second::Second;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use workload::{Experiment, Workload};

#[derive(Parser)]
#[command(about = "slipring beside others, and beside the floors")]
struct Options {
    /// Less than a minute: that it works, and roughly how fast
    #[arg(long)]
    quick: bool,
    /// Only these workloads; what other runs found out about others stays in the results
    #[arg(long, value_delimiter = ',')]
    only: Vec<Workload>,
    /// Only these message sizes
    #[arg(long, value_delimiter = ',')]
    bytes: Vec<u64>,
    /// Only so many producers, and as many consumers
    #[arg(long, value_delimiter = ',')]
    each: Vec<u64>,
    /// Only subjects whose names have one of these in them
    #[arg(long, value_delimiter = ',')]
    subject: Vec<String>,
    /// How slipring's cost grows over capacity, seats, message size and fill, or as `--curves=fill` over
    /// one of them; takes up to 4 GiB
    #[arg(long, num_args = 0.., require_equals = true, value_delimiter = ',')]
    curves: Option<Vec<Axis>>,
    /// Measure nothing: draw the charts of the results that are there
    #[arg(long)]
    draw: bool,
    /// How long each experiment goes on with new rounds, in seconds
    #[arg(long)]
    seconds: Option<f64>,
    /// Where results.json and the charts go
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
    leftovers::remove_of_the_dead();
    let [one, other, ..] = processors()?[..] else {
        return Err("two processors are needed".into());
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
        // A point of a curve may have the name of another's, or of a workload.
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
    let second = Second::new([one, other], effort, &options.output);
    let experiments = experiments(options).filter(|_| !options.draw);
    for (place, experiment) in experiments.enumerate() {
        let leftovers = Leftovers::of(place);
        let outcome = measure(
            &experiment,
            effort,
            [one, other],
            leftovers.tag(),
            |subject| {
                let has = |part: &String| subject.name.contains(part.as_str());
                options.subject.is_empty() || options.subject.iter().any(has)
            },
        );
        let outcome = outcome.map_err(|error| format!("{experiment}: {error}"))?;
        let mut found = records(&outcome);
        if !options.quick {
            second.complete(&experiment, &mut found)?;
        }
        table::print(&found);
        keep(found)?;
    }
    draw(&results, &options.output)
}

fn draw(results: &[Record], directory: &Path) -> Result<()> {
    chart::draw(results, directory)?;
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

/// What is there from runs before.
fn earlier(output: &Path) -> Result<Vec<Record>> {
    match fs::read_to_string(output.join(RESULTS)) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
