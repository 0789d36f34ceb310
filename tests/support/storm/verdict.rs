//! The account of a storm: each pushed message was popped once, or the log explains why not.

use super::log::{Action, Log, Note};
use super::{PopMode, Round};
use slipring::Counters;
use std::collections::HashMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// The result of a storm.
#[derive(Clone, Default)]
pub(crate) struct Report {
    pub(crate) kills: u64,
    /// Participants that detached without being killed.
    pub(crate) departures: u64,
    pub(crate) stops: u64,
    /// Participants that attached again, forked, and executed another program.
    pub(crate) returns: u64,
    pub(crate) forks: u64,
    pub(crate) executions: u64,
    /// The number of times that the ring grew.
    pub(crate) growths: u64,
    /// Forked children that used an inherited handle without being refused: must be 0.
    pub(crate) strayed: u64,
    /// Kills of participants with an intent, as far as was observed.
    pub(crate) mid_operation: u64,
    /// Kills of participants that were stopped for the observation, and how many of those had an
    /// intent set.
    pub(crate) samples: u64,
    pub(crate) samples_mid_operation: u64,
    /// Kills of one of two participants with the same position in their intents.
    pub(crate) rivals: u64,
    /// Kills of participants that had no seat yet.
    pub(crate) unseated: u64,
    pub(crate) time: Duration,
    /// The longest time in which no message was popped, with kills and without.
    pub(crate) stall: Duration,
    pub(crate) calm_stall: Duration,
    pub(crate) counters: Counters,
    pub(crate) messages: u64,
    pub(crate) lost: u64,
    pub(crate) redelivered: u64,
    pub(crate) in_doubt: u64,
    /// The most messages that may be in doubt, according to the logs of killed participants.
    pub(crate) doubtful: u64,
    pub(crate) duplicated: u64,
    pub(crate) torn: u64,
    pub(crate) disordered: u64,
    /// Messages that no producer pushed, or that were popped although an earlier message of the
    /// same push was not.
    pub(crate) forged: u64,
}

/// The notes about one message.
#[derive(Clone, Copy, Default)]
struct Taken {
    times: u8,
    /// The number of notes that were the last note of a killed consumer.
    last_notes: u8,
    /// The number of notes that are marked as redelivered.
    marked: u8,
}

pub(crate) fn settle(round: &Round, log: &Log, lives: usize, report: &mut Report) {
    report.returns = log.counted(Action::Returned);
    report.executions = log.counted(Action::Executed);
    report.growths = log.counted(Action::Grew);
    settle_children(log, report);
    let notes = log.notes(lives);
    let mut taken: Vec<Vec<Taken>> = (0..lives)
        .map(|life| vec![Taken::default(); log.life(life).begun() as usize])
        .collect();
    for (life, notes) in notes.iter().enumerate() {
        let was_killed = log.life(life).was_killed();
        if was_killed && round.pop_mode == PopMode::Pops {
            report.doubtful += log.life(life).open();
        }
        report.disordered += disorder(round.pop_mode, notes);
        for (index, note) in notes.iter().enumerate() {
            if note.is_torn {
                report.torn += 1;
                continue;
            }
            let of_life = taken.get_mut(note.id.life);
            let Some(message) = of_life.and_then(|of| of.get_mut(note.id.number as usize)) else {
                report.forged += 1;
                continue;
            };
            message.times += 1;
            message.marked += u8::from(note.is_redelivered);
            message.last_notes += u8::from(was_killed && index + 1 == notes.len());
        }
    }
    for (life, taken) in taken.iter().enumerate() {
        settle_producer(round, log.life(life).done() as usize, taken, report);
    }
}

/// Counts forked children. The last ones may still be running.
fn settle_children(log: &Log, report: &mut Report) {
    const A_WHILE: Duration = Duration::from_secs(5);
    let start = Instant::now();
    loop {
        report.forks = log.counted(Action::Forked);
        report.strayed = report.forks.saturating_sub(log.counted(Action::Refused));
        if report.strayed == 0 || start.elapsed() > A_WHILE {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn settle_producer(round: &Round, done: usize, taken: &[Taken], report: &mut Report) {
    let (done, begun) = taken.split_at(done);
    let missing = done.iter().filter(|message| message.times == 0).count() as u64;
    match round.pop_mode {
        PopMode::Guards => report.lost += missing,
        PopMode::Pops => report.in_doubt += missing,
    }
    // If a message of an unfinished push was popped, so were the messages before it, unless the
    // consumer that popped them was killed with them.
    if round.pop_mode == PopMode::Guards {
        let gaps = begun
            .windows(2)
            .filter(|pair| pair[0].times == 0 && pair[1].times > 0);
        report.forged += gaps.count() as u64;
    }
    for message in taken {
        report.messages += u64::from(message.times > 0);
        let again = message.times.saturating_sub(1);
        if again == 0 {
            continue;
        }
        // All but one of the notes must be of consumers that were killed before they released the
        // slot, and all but the first note must be marked as redelivered.
        let is_excused = round.pop_mode == PopMode::Guards
            && message.last_notes >= again
            && message.marked >= again;
        if is_excused {
            report.redelivered += u64::from(again);
        } else {
            report.duplicated += u64::from(again);
        }
    }
}

/// The number of notes of one consumer that are out of the order of their producer. Notes that are
/// marked as redelivered do not count, where consumers can mark them.
fn disorder(pop_mode: PopMode, notes: &[Note]) -> u64 {
    let mut latest = HashMap::new();
    let mut disordered = 0;
    for note in notes.iter().filter(|note| !note.is_torn) {
        let latest = latest.entry(note.id.life).or_insert(None);
        if *latest >= Some(note.id.number) {
            disordered += u64::from(!(pop_mode == PopMode::Guards && note.is_redelivered));
        } else {
            *latest = Some(note.id.number);
        }
    }
    disordered
}

impl Report {
    /// Adds the result of another storm.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, part) in [
            (&mut self.kills, other.kills),
            (&mut self.departures, other.departures),
            (&mut self.stops, other.stops),
            (&mut self.returns, other.returns),
            (&mut self.forks, other.forks),
            (&mut self.executions, other.executions),
            (&mut self.growths, other.growths),
            (&mut self.strayed, other.strayed),
            (&mut self.mid_operation, other.mid_operation),
            (&mut self.samples, other.samples),
            (&mut self.samples_mid_operation, other.samples_mid_operation),
            (&mut self.rivals, other.rivals),
            (&mut self.unseated, other.unseated),
            (&mut self.counters.recoveries, other.counters.recoveries),
            (&mut self.counters.tombstones, other.counters.tombstones),
            (&mut self.counters.redelivered, other.counters.redelivered),
            (&mut self.counters.dropped, other.counters.dropped),
            (&mut self.messages, other.messages),
            (&mut self.lost, other.lost),
            (&mut self.redelivered, other.redelivered),
            (&mut self.in_doubt, other.in_doubt),
            (&mut self.doubtful, other.doubtful),
            (&mut self.duplicated, other.duplicated),
            (&mut self.torn, other.torn),
            (&mut self.disordered, other.disordered),
            (&mut self.forged, other.forged),
        ] {
            *sum += part;
        }
        self.time += other.time;
        self.stall = self.stall.max(other.stall);
        self.calm_stall = self.calm_stall.max(other.calm_stall);
    }

    /// Asserts what must hold after every storm.
    pub(crate) fn check(&self, round: &Round) {
        assert!(self.messages > self.kills, "{self}");
        assert_eq!(self.strayed, 0, "{self}");
        assert_eq!(self.growths > 0, round.grows, "{self}");
        assert_eq!(self.lost, 0, "{self}");
        assert_eq!(self.duplicated, 0, "{self}");
        assert_eq!(self.torn, 0, "{self}");
        assert_eq!(self.forged, 0, "{self}");
        assert!(self.in_doubt <= self.doubtful, "{self}");
        // A pop does not return whether its message was redelivered.
        let unmarked = match round.pop_mode {
            PopMode::Guards => 0,
            PopMode::Pops => self.counters.redelivered,
        };
        assert!(self.disordered <= unmarked, "{self}");
        assert_eq!(self.counters.dropped, 0, "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
        writeln!(
            f,
            "  {} kills in {:.1?}, {} before they had a seat; {} stops, {} departures",
            self.kills, self.time, self.unseated, self.stops, self.departures
        )?;
        writeln!(
            f,
            "  {} attached again, {} forked, {} executed another program; {} growths",
            self.returns, self.forks, self.executions, self.growths
        )?;
        writeln!(
            f,
            "  killed with an intent set: at least {:.1} %; of the {2} that were stopped {1:.1} %; {3} had \
             a rival",
            percent(self.mid_operation, self.kills),
            percent(self.samples_mid_operation, self.samples),
            self.samples,
            self.rivals
        )?;
        writeln!(
            f,
            "  {} messages, {} lost, {} redelivered, {} in doubt (at most {}), {} duplicated, \
             {} torn, 0 stuck, {} forged, {} out of order",
            self.messages,
            self.lost,
            self.redelivered,
            self.in_doubt,
            self.doubtful,
            self.duplicated,
            self.torn,
            self.forged,
            self.disordered
        )?;
        writeln!(f, "  {:?}", self.counters)?;
        writeln!(
            f,
            "  longest stall {:.1?}, without kills {:.1?}",
            self.stall, self.calm_stall
        )
    }
}
