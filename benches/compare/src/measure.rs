//! Runs an experiment: all subjects take turns in short slices, round after round. An exchange of
//! two cache lines before and after each slice measures the distance of the processors.

use crate::crew::Crew;
use crate::subjects::{Subject, subjects};
use crate::workload::Experiment;
use bench_support::{Distance, Result};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// The amount of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// The intended length of a slice, in nanoseconds.
    pub(crate) slice: f64,
    /// The time for the rounds of an experiment.
    pub(crate) time: Duration,
    pub(crate) rounds_at_least: u64,
}

impl Effort {
    pub(crate) const FULL: Self = Self {
        slice: 25e6,
        time: Duration::from_secs(8),
        rounds_at_least: 5,
    };

    pub(crate) const QUICK: Self = Self {
        slice: 2e6,
        time: Duration::from_millis(150),
        rounds_at_least: 2,
    };
}

/// One slice of a subject.
pub(crate) struct Slice {
    pub(crate) round: u64,
    pub(crate) distance: Distance,
    /// Nanoseconds of an exchange of two lines, before and after the slice.
    pub(crate) floor: f64,
    /// Nanoseconds per message or round trip.
    pub(crate) nanos: f64,
}

/// The measurements of a subject.
pub(crate) struct SubjectRun {
    pub(crate) subject: Subject,
    pub(crate) slices: Vec<Slice>,
    /// The times of single round trips, for each distance.
    pub(crate) trips: [Histogram<u64>; 3],
    messages: u64,
}

pub(crate) struct Outcome {
    pub(crate) experiment: Experiment,
    pub(crate) runs: Vec<SubjectRun>,
    pub(crate) is_fifo: bool,
}

/// Runs an experiment with the selected subjects.
pub(crate) fn measure(
    experiment: &Experiment,
    effort: Effort,
    processors: [usize; 2],
    tag: &str,
    is_wanted: impl Fn(&Subject) -> bool,
) -> Result<Outcome> {
    let subjects = subjects(experiment)?.into_iter().filter(is_wanted);
    measure_all(experiment, effort, processors, tag, subjects)
}

/// Runs an experiment with these subjects.
pub(crate) fn measure_all(
    experiment: &Experiment,
    effort: Effort,
    processors: [usize; 2],
    tag: &str,
    subjects: impl IntoIterator<Item = Subject>,
) -> Result<Outcome> {
    let mut runs: Vec<SubjectRun> = subjects
        .into_iter()
        .map(|subject| SubjectRun::new(subject, experiment))
        .collect::<Result<_>>()?;
    let mut instances = Vec::new();
    for (index, subject_run) in runs.iter().enumerate() {
        let subject = &subject_run.subject;
        let name = format!("{tag}{index}");
        instances.push(match subject.unsupported {
            None => Some((subject.create)(experiment, &name).map_err(|e| about(subject, &e))?),
            Some(_) => None,
        });
    }
    let mut crew = Crew::start(experiment, &instances, processors)?;
    let mut present: Vec<usize> = (0..runs.len())
        .filter(|&lane| runs[lane].subject.unsupported.is_none())
        .collect();
    for &lane in &present {
        runs[lane].warm_up(&mut crew, lane, experiment, effort)?;
    }
    let start = Instant::now();
    let mut round = 0;
    while round < effort.rounds_at_least || start.elapsed() < effort.time {
        for &lane in &present {
            runs[lane].turn(&mut crew, lane, experiment, effort, round)?;
        }
        // The order changes, so that no subject always follows the same one.
        present.rotate_left(1);
        if round % 2 == 0 {
            present.reverse();
        }
        round += 1;
    }
    let is_fifo = crew.is_fifo;
    crew.finish()?;
    Ok(Outcome {
        experiment: *experiment,
        runs,
        is_fifo,
    })
}

fn about(subject: &Subject, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", subject.name)
}

impl SubjectRun {
    fn new(subject: Subject, experiment: &Experiment) -> Result<Self> {
        let histogram = || Histogram::new(3);
        Ok(Self {
            subject,
            slices: Vec::new(),
            trips: [histogram()?, histogram()?, histogram()?],
            messages: experiment.grain(),
        })
    }

    fn run(
        &mut self,
        crew: &mut Crew,
        lane: usize,
        experiment: &Experiment,
        note: Option<&mut dyn FnMut(u64)>,
    ) -> Result<f64> {
        let sum = (self.subject.sum)(self.messages, experiment.each);
        let nanos = crew.slice(lane, self.messages, sum, note);
        Ok(nanos.map_err(|error| about(&self.subject, &error))?)
    }

    /// Sets the messages of the next slice, with a limited growth.
    fn adapt(&mut self, nanos: f64, experiment: &Experiment, effort: Effort) {
        let wanted = effort.slice / (nanos * experiment.each as f64);
        let wanted = (wanted as u64).clamp(1, 4 * self.messages);
        self.messages = wanted.next_multiple_of(experiment.grain());
    }

    fn warm_up(
        &mut self,
        crew: &mut Crew,
        lane: usize,
        experiment: &Experiment,
        effort: Effort,
    ) -> Result<()> {
        // In the first laps, page faults occur on both sides.
        let laps = 2 * experiment.capacity as u64;
        let start = Instant::now();
        let mut done = 0;
        loop {
            let before = self.messages;
            let nanos = self.run(crew, lane, experiment, None)?;
            done += before * experiment.each;
            self.adapt(nanos, experiment, effort);
            let is_warm = done >= laps && self.messages < 2 * before;
            if is_warm || start.elapsed() > Duration::from_secs(1) {
                return Ok(());
            }
        }
    }

    fn turn(
        &mut self,
        crew: &mut Crew,
        lane: usize,
        experiment: &Experiment,
        effort: Effort,
        round: u64,
    ) -> Result<()> {
        let before = crew.probe(lane)?;
        let nanos = self.run(crew, lane, experiment, None)?;
        let after = crew.probe(lane)?;
        self.slices.push(Slice {
            round,
            distance: Distance::of(before, after),
            floor: (before + after) / 2.0,
            nanos,
        });
        if experiment.workload.is_round_trip() {
            // Longer than the watchdog allows.
            const LONGEST: u64 = 1_000_000_000_000;
            let mut trips = Histogram::<u64>::new_with_bounds(1, LONGEST, 3)?;
            let mut note = |nanos| trips.saturating_record(nanos);
            self.run(crew, lane, experiment, Some(&mut note))?;
            let later = crew.probe(lane)?;
            self.trips[Distance::of(after, later) as usize].add(&trips)?;
        }
        self.adapt(nanos, experiment, effort);
        Ok(())
    }

    pub(crate) fn at(&self, distance: Distance) -> impl Iterator<Item = &Slice> {
        let slices = self.slices.iter();
        slices.filter(move |slice| slice.distance == distance)
    }
}
