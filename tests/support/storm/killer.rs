//! The process that starts the participants, kills them, stops them, and checks that messages flow.

use super::bytes::Bytes;
use super::crew::Member;
use super::log::{Fate, Log, Orders};
use super::verdict::Report;
use super::{Round, growers, verdict};
use crate::support::{Dice, Forked, fork_child, state_of, until};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use slipring::mpmc::Ring;
use std::thread;
use std::time::{Duration, Instant};

/// The number of participants of each role.
const CREW: usize = 4;
/// The number of growers: one grows the ring while the other waits for it.
const GROWERS: usize = 2;
/// The bounds of the time between two kills.
const SHORTEST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(5);
/// The longest time between observed progress and the kill: about one operation.
const REST: Duration = Duration::from_micros(3);
/// The longest that a participant is stopped.
pub(super) const STOP: Duration = Duration::from_millis(20);
/// The time without a popped message, or without a seat for a new participant, after which the
/// storm counts as stuck.
const STUCK: Duration = Duration::from_secs(20);

/// The part of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Producer,
    Consumer,
    Grower,
}

/// A participant's process, and the index of its record in the log.
pub(super) struct Place {
    pub(super) part: Part,
    life: usize,
    pub(super) child: Forked,
    born: Instant,
    pub(super) stopped_until: Option<Instant>,
    seen: u64,
}

/// A storm in progress.
pub(crate) struct Storm<'r, const N: usize> {
    round: &'r Round,
    name: &'r str,
    log: &'r Log,
    pub(super) bytes: Bytes,
    pub(super) dice: Dice,
    lives: usize,
    pub(super) places: Vec<Place>,
    flowed: Instant,
    pub(super) report: Report,
}

impl<const N: usize> Storm<'_, N> {
    /// Runs for a while without kills, then with kills, and settles the account.
    pub(crate) fn run(round: &Round, name: &str, kills: u64, calm: Duration) -> Report {
        // Killed participants must not dump core.
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
        let calm = Storm::<N>::rage(round, name, 0, calm);
        let mut report = Storm::<N>::rage(round, name, kills, Duration::ZERO);
        report.calm_stall = calm.stall;
        report
    }

    fn rage(round: &Round, name: &str, kills: u64, least: Duration) -> Report {
        let ring = Ring::<[u64; N]>::create_with(name, &round.options()).unwrap();
        let log = Log::new();
        let mut storm = Storm::<N> {
            round,
            name,
            log: &log,
            bytes: Bytes::of(name),
            dice: Dice::new(round.seed),
            lives: 0,
            places: Vec::new(),
            flowed: Instant::now(),
            report: Report::default(),
        };
        for _ in 0..CREW {
            for part in [Part::Producer, Part::Consumer] {
                let place = storm.bear(part);
                storm.places.push(place);
            }
        }
        if round.grows {
            for _ in 0..GROWERS {
                let place = storm.bear(Part::Grower);
                storm.places.push(place);
            }
        }
        let start = Instant::now();
        storm.watch(least);
        while storm.report.kills < kills {
            let pause = SHORTEST + up_to(&mut storm.dice, LONGEST - SHORTEST);
            storm.watch(pause);
            let stop = if round.stops { storm.dice.below(4) } else { 4 };
            if stop == 0 {
                storm.stop_one();
            }
            // Rivals are searched in the first segment only.
            if stop == 1 && !round.grows && storm.kill_a_rival() {
                continue;
            }
            let victim = storm.dice.below(storm.places.len() as u64) as usize;
            storm.lie_in_wait(victim);
            storm.kill_one(victim);
        }
        storm.report.time = start.elapsed();
        storm.end(&ring);
        storm.report
    }

    fn bear(&mut self, part: Part) -> Place {
        let index = self.lives;
        self.lives += 1;
        let life = self.log.life(index);
        let member = Member {
            round: self.round,
            ring: self.name,
            log: self.log,
            life,
        };
        let child = fork_child(|| match part {
            Part::Producer => member.push_until_ordered::<N>(),
            Part::Consumer => member.take_until_ordered::<N>(),
            Part::Grower => member.grow_until_ordered::<N>(),
        });
        Place {
            part,
            life: index,
            child,
            born: Instant::now(),
            stopped_until: None,
            seen: 0,
        }
    }

    /// Observes the participants for a while.
    fn watch(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            self.look();
            let now = Instant::now();
            if now >= end {
                return;
            }
            thread::sleep((end - now).min(Duration::from_micros(300)));
        }
    }

    fn look(&mut self) {
        let now = Instant::now();
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            if place.stopped_until.is_some_and(|until| now >= until) {
                place.resume();
            }
            let life = self.log.life(place.life);
            let progress = life.progress();
            if place.part == Part::Consumer && progress != place.seen {
                self.report.stall = self.report.stall.max(now - self.flowed);
                self.flowed = now;
            }
            place.seen = progress;
            let is_late = life.is_seated() == 0 && now - place.born > STUCK;
            if let Some(ended) = place.child.has_ended() {
                assert_eq!(
                    ended,
                    WaitStatus::Exited(Pid::from_raw(place.child.pid() as i32), 0),
                    "{:?} {}",
                    place.part,
                    place.life
                );
                self.report.departures += 1;
                let part = place.part;
                self.places[index] = self.bear(part);
            } else if is_late {
                self.give_up("a new participant has no seat");
            }
        }
        if now - self.flowed > STUCK {
            self.give_up("no message is popped");
        }
    }

    fn give_up(&self, why: &str) -> ! {
        let mut crew = String::new();
        for place in &self.places {
            let (pid, life) = (place.child.pid(), self.log.life(place.life));
            crew += &format!(
                "{:?} {}: process {pid} ({:?}), seated {}, progress {}, pushed {} of {}\n",
                place.part,
                place.life,
                state_of(pid, pid),
                life.is_seated(),
                life.progress(),
                life.done(),
                life.begun()
            );
        }
        panic!(
            "{}: stuck after {} kills: {why}\n{crew}{}",
            self.round.label,
            self.report.kills,
            self.bytes.dump()
        );
    }

    fn stop_one(&mut self) {
        let index = self.dice.below(self.places.len() as u64) as usize;
        let time = up_to(&mut self.dice, STOP);
        let place = &mut self.places[index];
        if place.stopped_until.is_none() {
            signal(place.child.pid(), Signal::SIGSTOP);
            place.stopped_until = Some(Instant::now() + time);
            self.report.stops += 1;
        }
    }

    /// Waits for a moment just after the victim has made progress, in two of three cases.
    fn lie_in_wait(&mut self, victim: usize) {
        let life = self.log.life(self.places[victim].life);
        let turn = self.dice.below(3);
        if turn == 0 {
            return;
        }
        let (before, is_grower) = (life.progress(), self.places[victim].part == Part::Grower);
        let (patience, rest) = match is_grower {
            true => (growers::PAUSE, growers::GROWTH),
            false => (SHORTEST, REST),
        };
        let end = Instant::now() + patience;
        while life.progress() == before && Instant::now() < end {
            match is_grower {
                true => thread::sleep(Duration::from_micros(50)),
                false => std::hint::spin_loop(),
            }
        }
        if turn == 1 || is_grower {
            self.dice.spin(rest);
        }
    }

    pub(super) fn kill_one(&mut self, index: usize) {
        let place = &self.places[index];
        let (pid, life) = (place.child.pid(), self.log.life(place.life));
        let is_sample = self.dice.below(4) == 0 || place.stopped_until.is_some();
        if is_sample {
            signal(pid, Signal::SIGSTOP);
            wait_until_stopped(pid);
        }
        let standing = || match self.bytes.entry_of(pid) {
            Some((_, entry)) => entry.claim().is_some(),
            None => false,
        };
        let stood_still = is_sample.then(standing);
        let ended = self.places[index].child.kill_and_reap();
        let is_standing = match stood_still {
            Some(is_standing) => is_standing,
            // Other participants may have recovered it already.
            None => standing(),
        };
        let part = self.places[index].part;
        if matches!(ended, WaitStatus::Signaled(_, Signal::SIGKILL, _)) {
            life.end(Fate::Killed);
            self.report.kills += 1;
            self.report.mid_operation += u64::from(is_standing);
            self.report.unseated += u64::from(life.is_seated() == 0);
            if is_sample {
                self.report.samples += 1;
                self.report.samples_mid_operation += u64::from(is_standing);
            }
        } else {
            assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
            self.report.departures += 1;
        }
        self.places[index] = self.bear(part);
    }

    /// Orders all participants to leave, pops the remaining messages, and settles the account.
    fn end(&mut self, ring: &Ring<[u64; N]>) {
        for (orders, part) in [
            (Orders::ProducersLeave, Part::Producer),
            (Orders::AllLeave, Part::Consumer),
        ] {
            self.log.order(orders);
            let start = Instant::now();
            let is_awaited = |place: &Place| place.part == part || place.part == Part::Grower;
            while self.places.iter().any(is_awaited) {
                let mut index = 0;
                while let Some(place) = self.places.get_mut(index) {
                    if place.stopped_until.is_some() {
                        place.resume();
                    }
                    match place.child.has_ended() {
                        Some(ended) => {
                            assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
                            self.places.remove(index);
                        }
                        None => index += 1,
                    }
                }
                if start.elapsed() > STUCK {
                    self.give_up("a participant does not leave");
                }
                thread::sleep(Duration::from_micros(300));
            }
        }
        self.drain();
        let recovery = ring.recover().unwrap();
        assert_eq!((recovery.undecided, recovery.waiting), (0, 0));
        for (tail, head) in self.bytes.tails_and_heads() {
            assert_eq!(tail, head, "the ring is not drained");
        }
        assert!(self.bytes.entries().all(|entry| entry.claim().is_none()));
        self.report.counters = ring.counters();
        slipring::unlink(self.name).unwrap();
        verdict::settle(self.round, self.log, self.lives, &mut self.report);
    }

    fn drain(&mut self) {
        let index = self.lives;
        self.lives += 1;
        let life = self.log.life(index);
        let member = Member {
            round: self.round,
            ring: self.name,
            log: self.log,
            life,
        };
        let mut child = fork_child(|| member.drain::<N>());
        let start = Instant::now();
        loop {
            match child.has_ended() {
                Some(ended) => {
                    assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
                    return;
                }
                None if start.elapsed() > STUCK => {
                    self.give_up("the last consumer does not finish")
                }
                None => thread::sleep(Duration::from_micros(300)),
            }
        }
    }
}

impl Place {
    pub(super) fn resume(&mut self) {
        signal(self.child.pid(), Signal::SIGCONT);
        self.stopped_until = None;
    }
}

pub(super) fn wait_until_stopped(pid: u32) {
    until("the process has stopped", || {
        matches!(state_of(pid, pid), Some('T' | 'Z'))
    });
}

pub(super) fn up_to(dice: &mut Dice, most: Duration) -> Duration {
    Duration::from_nanos(dice.below(most.as_nanos() as u64 + 1))
}

pub(super) fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).unwrap();
}
