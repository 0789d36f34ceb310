//! The account of a storm: each message that was pushed is there, once, or it is known why not.

use super::log::{Deed, Log, Note};
use super::{Round, Taking};
use slipring::Counters;
use std::collections::HashMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// How a storm went.
#[derive(Clone, Default)]
pub(crate) struct Report {
    pub(crate) kills: u64,
    /// Participants that left by themselves.
    pub(crate) departures: u64,
    pub(crate) stops: u64,
    /// Participants that came back, forked, and executed another program.
    pub(crate) returns: u64,
    pub(crate) forks: u64,
    pub(crate) executions: u64,
    /// Times that the ring was made to grow.
    pub(crate) growths: u64,
    /// Forked children that were not refused, as they must be.
    pub(crate) strayed: u64,
    /// Kills of who had an intent standing, as far as was seen.
    pub(crate) mid_operation: u64,
    /// Kills of who stood still while it was looked at, and how many of them had one.
    pub(crate) samples: u64,
    pub(crate) samples_mid_operation: u64,
    /// Kills of one of two who said that they claim the same position.
    pub(crate) rivals: u64,
    /// Kills of who had not got its seat yet.
    pub(crate) unseated: u64,
    pub(crate) time: Duration,
    /// The longest time in which nobody took a message; and without kills.
    pub(crate) stall: Duration,
    pub(crate) calm_stall: Duration,
    pub(crate) counters: Counters,
    pub(crate) messages: u64,
    pub(crate) lost: u64,
    pub(crate) redelivered: u64,
    pub(crate) in_doubt: u64,
    /// The most that the notes of the killed allow to be in doubt.
    pub(crate) doubtful: u64,
    pub(crate) duplicated: u64,
    pub(crate) torn: u64,
    pub(crate) disordered: u64,
    /// Messages that nobody pushed, or that came without those pushed with them before.
    pub(crate) forged: u64,
}

/// What became of one message.
#[derive(Clone, Copy, Default)]
struct Taken {
    times: u8,
    /// Times that a note was a killed consumer's last.
    last_notes: u8,
    /// Times that it was marked as redelivered.
    marked: u8,
}

pub(crate) fn settle(round: &Round, log: &Log, lives: usize, report: &mut Report) {
    report.returns = log.counted(Deed::Returned);
    report.executions = log.counted(Deed::Executed);
    report.growths = log.counted(Deed::Grew);
    settle_children(log, report);
    let notes = log.notes(lives);
    let mut taken: Vec<Vec<Taken>> = (0..lives)
        .map(|life| vec![Taken::default(); log.life(life).begun() as usize])
        .collect();
    for (life, notes) in notes.iter().enumerate() {
        let was_killed = log.life(life).was_killed();
        if was_killed && round.taking == Taking::Pops {
            report.doubtful += log.life(life).open();
        }
        report.disordered += disorder(round.taking, notes);
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

/// The last children may be on their way yet.
fn settle_children(log: &Log, report: &mut Report) {
    const A_WHILE: Duration = Duration::from_secs(5);
    let start = Instant::now();
    loop {
        report.forks = log.counted(Deed::Forked);
        report.strayed = report.forks.saturating_sub(log.counted(Deed::Refused));
        if report.strayed == 0 || start.elapsed() > A_WHILE {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn settle_producer(round: &Round, done: usize, taken: &[Taken], report: &mut Report) {
    let (done, begun) = taken.split_at(done);
    let missing = done.iter().filter(|message| message.times == 0).count() as u64;
    match round.taking {
        Taking::Guards => report.lost += missing,
        Taking::Pops => report.in_doubt += missing,
    }
    // Of what a push had begun, the messages before one that came came as well; unless who took
    // them died with them.
    if round.taking == Taking::Guards {
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
        // All but one of the notes are of consumers that were killed before they gave it back;
        // and all but the first say that somebody else had had it.
        let is_excused = round.taking == Taking::Guards
            && message.last_notes >= again
            && message.marked >= again;
        if is_excused {
            report.redelivered += u64::from(again);
        } else {
            report.duplicated += u64::from(again);
        }
    }
}

/// How many notes of one consumer are out of the order of their producer, and are not marked as
/// redelivered if they could be.
fn disorder(taking: Taking, notes: &[Note]) -> u64 {
    let mut latest = HashMap::new();
    let mut disordered = 0;
    for note in notes.iter().filter(|note| !note.is_torn) {
        let latest = latest.entry(note.id.life).or_insert(None);
        if *latest >= Some(note.id.number) {
            disordered += u64::from(!(taking == Taking::Guards && note.is_redelivered));
        } else {
            *latest = Some(note.id.number);
        }
    }
    disordered
}

impl Report {
    /// Two storms as one.
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

    /// What must hold after every storm.
    pub(crate) fn check(&self, round: &Round) {
        assert!(self.messages > self.kills, "{self}");
        assert_eq!(self.strayed, 0, "{self}");
        assert_eq!(self.growths > 0, round.grows, "{self}");
        assert_eq!(self.lost, 0, "{self}");
        assert_eq!(self.duplicated, 0, "{self}");
        assert_eq!(self.torn, 0, "{self}");
        assert_eq!(self.forged, 0, "{self}");
        assert!(self.in_doubt <= self.doubtful, "{self}");
        // A pop does not say whether its message was redelivered.
        let unmarked = match round.taking {
            Taking::Guards => 0,
            Taking::Pops => self.counters.redelivered,
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
            "  {} came back, {} forked, {} executed another program; it grew {} times",
            self.returns, self.forks, self.executions, self.growths
        )?;
        writeln!(
            f,
            "  with an intent standing: {:.1} % at least; {:.1} % of {} that stood still; {} in \
             rivalry for it",
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
