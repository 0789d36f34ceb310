//! What a run says in the end: one record for each workload, subject and placement.

use crate::measure::{Course, Outcome};
use crate::subjects::Standing;
use crate::workload::Workload;
use bench_support::{Distance, Spread, median};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) workload: String,
    /// What all sizes and crowds of a workload have in common.
    pub(crate) family: String,
    pub(crate) bytes: u64,
    pub(crate) producers: u64,
    pub(crate) subject: String,
    pub(crate) standing: String,
    pub(crate) in_process: bool,
    /// `near` or `far`, as the exchanges of two lines before and after each slice say, or
    /// `unclear` where they disagree.
    pub(crate) placement: String,
    /// The median over slices, of a message or a round trip; null where a subject can't take part.
    pub(crate) ns: Option<f64>,
    /// The quarters around it.
    pub(crate) ns_quartiles: Option<[f64; 2]>,
    pub(crate) slices: usize,
    pub(crate) p50: Option<u64>,
    pub(crate) p90: Option<u64>,
    pub(crate) p99: Option<u64>,
    pub(crate) p999: Option<u64>,
    pub(crate) p9999: Option<u64>,
    /// Of the exchange of two lines around each slice, meanwhile.
    pub(crate) two_line_exchange_ns: Option<f64>,
    /// The median of the ratios in the same round.
    pub(crate) ratio_to_floor: Option<f64>,
    pub(crate) ratio_to_best_rival: Option<f64>,
    pub(crate) best_rival: Option<String>,
    /// Why there is no number.
    pub(crate) reason: Option<String>,
    pub(crate) sched_fifo: bool,
    /// Of the curves only: the ring's capacity, the seats of a side, and how full it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capacity: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seats: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fill: Option<String>,
}

impl Record {
    /// Whether it may be set against others: not a floor.
    fn is_of(&self, standing: Standing) -> bool {
        self.standing == name_of(standing)
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.is_of(Standing::Ours)
    }

    pub(crate) fn is_floor(&self) -> bool {
        self.is_of(Standing::Floor)
    }
}

fn name_of(standing: Standing) -> String {
    format!("{standing:?}").to_lowercase()
}

pub(crate) fn records(outcome: &Outcome) -> Vec<Record> {
    let mut records = Vec::new();
    for distance in Distance::ALL {
        if outcome
            .courses
            .iter()
            .all(|course| course.at(distance).next().is_none())
        {
            continue;
        }
        for course in &outcome.courses {
            records.push(record(outcome, course, distance));
        }
    }
    records
}

fn record(outcome: &Outcome, course: &Course, distance: Distance) -> Record {
    let experiment = &outcome.experiment;
    let subject = &course.subject;
    let spread = Spread::of(course.at(distance).map(|slice| slice.nanos).collect());
    let is_measured = spread.count > 0;
    let trips = &course.trips[distance as usize];
    let percentile = |quantile| (!trips.is_empty()).then(|| trips.value_at_quantile(quantile));
    let rival = best_rival(outcome, course, distance).filter(|_| is_measured);
    let exchange = median(course.at(distance).map(|slice| slice.floor).collect());
    Record {
        workload: experiment.to_string(),
        family: format!("{:?}", experiment.workload),
        bytes: experiment.bytes,
        producers: experiment.each,
        subject: subject.name.to_owned(),
        standing: name_of(subject.standing),
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
            .then(|| ratio_to_floor(outcome, course, distance))
            .flatten(),
        ratio_to_best_rival: rival.and_then(|rival| ratio(course, rival, distance)),
        best_rival: rival.map(|rival| rival.subject.name.to_owned()),
        reason: subject.lacks.map(str::to_owned),
        sched_fifo: outcome.is_fifo,
        ..Record::default()
    }
}

/// Round trips are set against the exchange of two lines around them, everything else against the
/// floor among the subjects, if it has one.
fn ratio_to_floor(outcome: &Outcome, course: &Course, distance: Distance) -> Option<f64> {
    if outcome.experiment.workload == Workload::RoundTrip {
        let ratios = course.at(distance).map(|slice| slice.nanos / slice.floor);
        return Some(median(ratios.collect()));
    }
    let is_floor = |other: &&Course| other.subject.standing == Standing::Floor;
    ratio(course, outcome.courses.iter().find(is_floor)?, distance)
}

fn best_rival<'o>(outcome: &'o Outcome, course: &Course, distance: Distance) -> Option<&'o Course> {
    let nanos = |course: &Course| median(course.at(distance).map(|slice| slice.nanos).collect());
    let rivals = outcome.courses.iter().filter(|other| {
        let standings = [course.subject.standing, other.subject.standing];
        other.subject.name != course.subject.name
            && other.subject.standing != Standing::Floor
            && standings != [Standing::Ours; 2]
            && other.at(distance).next().is_some()
    });
    rivals.min_by(|one, other| nanos(one).total_cmp(&nanos(other)))
}

/// The median over the rounds that both had at that distance.
fn ratio(course: &Course, other: &Course, distance: Distance) -> Option<f64> {
    let ratios: Vec<f64> = course
        .at(distance)
        .filter_map(|slice| {
            let mut others = other.at(distance);
            let beside = others.find(|beside| beside.round == slice.round)?;
            Some(slice.nanos / beside.nanos)
        })
        .collect();
    (!ratios.is_empty()).then(|| median(ratios))
}
