//! The results of a run: one record for each workload, subject and placement.

use crate::measure::{Outcome, SubjectRun};
use crate::subjects::Category;
use crate::workload::Workload;
use bench_support::{Distance, Spread, median};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) workload: String,
    /// The workload without message size and number of producers.
    pub(crate) family: String,
    pub(crate) bytes: u64,
    pub(crate) producers: u64,
    pub(crate) subject: String,
    #[serde(alias = "standing")]
    pub(crate) category: String,
    pub(crate) in_process: bool,
    /// `near` or `far`, from the exchanges of two lines before and after each slice, or `unclear`
    /// if they disagree.
    pub(crate) placement: String,
    /// The median over slices, per message or round trip. `None` if the subject did not run.
    pub(crate) ns: Option<f64>,
    /// The quartiles of `ns`.
    pub(crate) ns_quartiles: Option<[f64; 2]>,
    pub(crate) slices: usize,
    pub(crate) p50: Option<u64>,
    pub(crate) p90: Option<u64>,
    pub(crate) p99: Option<u64>,
    pub(crate) p999: Option<u64>,
    pub(crate) p9999: Option<u64>,
    /// The median of the exchanges of two lines around the slices.
    pub(crate) two_line_exchange_ns: Option<f64>,
    /// The median of the ratios within a round.
    pub(crate) ratio_to_floor: Option<f64>,
    pub(crate) ratio_to_best_rival: Option<f64>,
    pub(crate) best_rival: Option<String>,
    /// The reason for a missing number.
    pub(crate) reason: Option<String>,
    pub(crate) sched_fifo: bool,
    /// Only for curves: the ring's capacity, the seats per role, and the fill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capacity: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seats: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fill: Option<String>,
}

impl Record {
    /// Whether the subject is in this category.
    fn is_of(&self, category: Category) -> bool {
        self.category == name_of(category)
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.is_of(Category::Ours)
    }

    pub(crate) fn is_floor(&self) -> bool {
        self.is_of(Category::Floor)
    }
}

fn name_of(category: Category) -> String {
    format!("{category:?}").to_lowercase()
}

pub(crate) fn records(outcome: &Outcome) -> Vec<Record> {
    let mut records = Vec::new();
    for distance in Distance::ALL {
        if outcome
            .runs
            .iter()
            .all(|subject_run| subject_run.at(distance).next().is_none())
        {
            continue;
        }
        for subject_run in &outcome.runs {
            records.push(record(outcome, subject_run, distance));
        }
    }
    records
}

fn record(outcome: &Outcome, subject_run: &SubjectRun, distance: Distance) -> Record {
    let experiment = &outcome.experiment;
    let subject = &subject_run.subject;
    let spread = Spread::of(subject_run.at(distance).map(|slice| slice.nanos).collect());
    let is_measured = spread.count > 0;
    let trips = &subject_run.trips[distance as usize];
    let percentile = |quantile| (!trips.is_empty()).then(|| trips.value_at_quantile(quantile));
    let rival = best_rival(outcome, subject_run, distance).filter(|_| is_measured);
    let exchange = median(subject_run.at(distance).map(|slice| slice.floor).collect());
    Record {
        workload: experiment.to_string(),
        family: format!("{:?}", experiment.workload),
        bytes: experiment.bytes,
        producers: experiment.each,
        subject: subject.name.to_owned(),
        category: name_of(subject.category),
        in_process: subject.is_in_process,
        placement: distance.to_string(),
        ns: is_measured.then_some(spread.median),
        ns_quartiles: is_measured.then_some(spread.quartiles),
        slices: spread.count,
        p50: percentile(0.5),
        p90: percentile(0.9),
        p99: percentile(0.99),
        p999: percentile(0.999),
        p9999: percentile(0.9999),
        two_line_exchange_ns: is_measured.then_some(exchange),
        ratio_to_floor: is_measured
            .then(|| ratio_to_floor(outcome, subject_run, distance))
            .flatten(),
        ratio_to_best_rival: rival.and_then(|rival| ratio(subject_run, rival, distance)),
        best_rival: rival.map(|rival| rival.subject.name.to_owned()),
        reason: subject.unsupported.map(str::to_owned),
        sched_fifo: outcome.is_fifo,
        ..Record::default()
    }
}

/// Compares round trips with the exchange of two lines around them, and other workloads with the
/// first floor among the subjects.
fn ratio_to_floor(outcome: &Outcome, subject_run: &SubjectRun, distance: Distance) -> Option<f64> {
    if outcome.experiment.workload == Workload::RoundTrip {
        let ratios = subject_run
            .at(distance)
            .map(|slice| slice.nanos / slice.floor);
        return Some(median(ratios.collect()));
    }
    let is_floor = |other: &&SubjectRun| other.subject.category == Category::Floor;
    ratio(subject_run, outcome.runs.iter().find(is_floor)?, distance)
}

fn best_rival<'o>(
    outcome: &'o Outcome,
    subject_run: &SubjectRun,
    distance: Distance,
) -> Option<&'o SubjectRun> {
    let nanos = |subject_run: &SubjectRun| {
        median(subject_run.at(distance).map(|slice| slice.nanos).collect())
    };
    let rivals = outcome.runs.iter().filter(|other| {
        let categories = [subject_run.subject.category, other.subject.category];
        other.subject.name != subject_run.subject.name
            && other.subject.category != Category::Floor
            && categories != [Category::Ours; 2]
            && other.at(distance).next().is_some()
    });
    rivals.min_by(|one, other| nanos(one).total_cmp(&nanos(other)))
}

/// The median over the rounds in which both subjects ran at that distance.
fn ratio(subject_run: &SubjectRun, other: &SubjectRun, distance: Distance) -> Option<f64> {
    let ratios: Vec<f64> = subject_run
        .at(distance)
        .filter_map(|slice| {
            let mut others = other.at(distance);
            let beside = others.find(|beside| beside.round == slice.round)?;
            Some(slice.nanos / beside.nanos)
        })
        .collect();
    (!ratios.is_empty()).then(|| median(ratios))
}
