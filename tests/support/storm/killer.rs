//! The process that starts the participants, kills them, stops them, and checks that messages flow.

use super::log::{Fate, Log, Orders};
use super::members::Member;
use super::ring_bytes::Bytes;
use super::verdict::Report;
use super::{Round, growers, verdict};
use crate::support::{Forked, Random, fork_child, state_of, until};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use slipring::mpmc::Ring;
use std::thread;
use std::time::{Duration, Instant};

/// The number of participants of each role.
const PER_ROLE: usize = 4;
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
pub(super) struct Participant {
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
    pub(super) random: Random,
    lives: usize,
    pub(super) participants: Vec<Participant>,
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
            random: Random::new(round.seed),
            lives: 0,
            participants: Vec::new(),
            flowed: Instant::now(),
            report: Report::default(),
        };
        for _ in 0..PER_ROLE {
            for part in [Part::Producer, Part::Consumer] {
                let participant = storm.spawn(part);
                storm.participants.push(participant);
            }
        }
        if round.grows {
            for _ in 0..GROWERS {
                let participant = storm.spawn(Part::Grower);
                storm.participants.push(participant);
            }
        }
        let start = Instant::now();
        storm.observe_for(least);
        while storm.report.kills < kills {
            let pause = SHORTEST + up_to(&mut storm.random, LONGEST - SHORTEST);
            storm.observe_for(pause);
            let stop = if round.stops {
                storm.random.below(4)
            } else {
                4
            };
            if stop == 0 {
                storm.stop_one();
            }
            // Rivals are searched in the first segment only.
            if stop == 1 && !round.grows && storm.kill_a_rival() {
                continue;
            }
            let victim = storm.random.below(storm.participants.len() as u64) as usize;
            storm.await_progress(victim);
            storm.kill_one(victim);
        }
        storm.report.time = start.elapsed();
        storm.end(&ring);
        storm.report
    }

    fn spawn(&mut self, part: Part) -> Participant {
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
        Participant {
            part,
            life: index,
            child,
            born: Instant::now(),
            stopped_until: None,
            seen: 0,
        }
    }

    /// Observes the participants for a while.
    fn observe_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            self.observe();
            let now = Instant::now();
            if now >= end {
                return;
            }
            thread::sleep((end - now).min(Duration::from_micros(300)));
        }
    }

    fn observe(&mut self) {
        let now = Instant::now();
        for index in 0..self.participants.len() {
            let participant = &mut self.participants[index];
            if participant.stopped_until.is_some_and(|until| now >= until) {
                participant.resume();
            }
            let life = self.log.life(participant.life);
            let progress = life.progress();
            if participant.part == Part::Consumer && progress != participant.seen {
                self.report.stall = self.report.stall.max(now - self.flowed);
                self.flowed = now;
            }
            participant.seen = progress;
            let is_late = life.is_seated() == 0 && now - participant.born > STUCK;
            if let Some(ended) = participant.child.has_ended() {
                assert_eq!(
                    ended,
                    WaitStatus::Exited(Pid::from_raw(participant.child.pid() as i32), 0),
                    "{:?} {}",
                    participant.part,
                    participant.life
                );
                self.report.departures += 1;
                let part = participant.part;
                self.participants[index] = self.spawn(part);
            } else if is_late {
                self.fail_stuck("a new participant has no seat");
            }
        }
        if now - self.flowed > STUCK {
            self.fail_stuck("no message is popped");
        }
    }

    fn fail_stuck(&self, why: &str) -> ! {
        let mut state = String::new();
        for participant in &self.participants {
            let (pid, life) = (participant.child.pid(), self.log.life(participant.life));
            state += &format!(
                "{:?} {}: process {pid} ({:?}), seated {}, progress {}, pushed {} of {}\n",
                participant.part,
                participant.life,
                state_of(pid, pid),
                life.is_seated(),
                life.progress(),
                life.done(),
                life.begun()
            );
        }
        panic!(
            "{}: stuck after {} kills: {why}\n{state}{}",
            self.round.label,
            self.report.kills,
            self.bytes.dump()
        );
    }

    fn stop_one(&mut self) {
        let index = self.random.below(self.participants.len() as u64) as usize;
        let time = up_to(&mut self.random, STOP);
        let participant = &mut self.participants[index];
        if participant.stopped_until.is_none() {
            signal(participant.child.pid(), Signal::SIGSTOP);
            participant.stopped_until = Some(Instant::now() + time);
            self.report.stops += 1;
        }
    }

    /// Waits for a moment just after the victim has made progress, in two of three cases.
    fn await_progress(&mut self, victim: usize) {
        let life = self.log.life(self.participants[victim].life);
        let turn = self.random.below(3);
        if turn == 0 {
            return;
        }
        let (before, is_grower) = (
            life.progress(),
            self.participants[victim].part == Part::Grower,
        );
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
            self.random.spin(rest);
        }
    }

    pub(super) fn kill_one(&mut self, index: usize) {
        let participant = &self.participants[index];
        let (pid, life) = (participant.child.pid(), self.log.life(participant.life));
        let is_sample = self.random.below(4) == 0 || participant.stopped_until.is_some();
        if is_sample {
            signal(pid, Signal::SIGSTOP);
            wait_until_stopped(pid);
        }
        let has_intent = || match self.bytes.entry_of(pid) {
            Some((_, entry)) => entry.claim().is_some(),
            None => false,
        };
        let had_intent = is_sample.then(has_intent);
        let ended = self.participants[index].child.kill_and_reap();
        let is_set = match had_intent {
            Some(is_set) => is_set,
            // Other participants may have recovered it already.
            None => has_intent(),
        };
        let part = self.participants[index].part;
        if matches!(ended, WaitStatus::Signaled(_, Signal::SIGKILL, _)) {
            life.end(Fate::Killed);
            self.report.kills += 1;
            self.report.mid_operation += u64::from(is_set);
            self.report.unseated += u64::from(life.is_seated() == 0);
            if is_sample {
                self.report.samples += 1;
                self.report.samples_mid_operation += u64::from(is_set);
            }
        } else {
            assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
            self.report.departures += 1;
        }
        self.participants[index] = self.spawn(part);
    }

    /// Orders all participants to leave, pops the remaining messages, and settles the account.
    fn end(&mut self, ring: &Ring<[u64; N]>) {
        for (orders, part) in [
            (Orders::ProducersLeave, Part::Producer),
            (Orders::AllLeave, Part::Consumer),
        ] {
            self.log.order(orders);
            let start = Instant::now();
            let is_awaited = |participant: &Participant| {
                participant.part == part || participant.part == Part::Grower
            };
            while self.participants.iter().any(is_awaited) {
                let mut index = 0;
                while let Some(participant) = self.participants.get_mut(index) {
                    if participant.stopped_until.is_some() {
                        participant.resume();
                    }
                    match participant.child.has_ended() {
                        Some(ended) => {
                            assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
                            self.participants.remove(index);
                        }
                        None => index += 1,
                    }
                }
                if start.elapsed() > STUCK {
                    self.fail_stuck("a participant does not leave");
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
                    self.fail_stuck("the last consumer does not finish")
                }
                None => thread::sleep(Duration::from_micros(300)),
            }
        }
    }
}

impl Participant {
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

pub(super) fn up_to(random: &mut Random, most: Duration) -> Duration {
    Duration::from_nanos(random.below(most.as_nanos() as u64 + 1))
}

pub(super) fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).unwrap();
}
