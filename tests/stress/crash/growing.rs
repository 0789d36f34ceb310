//! A ring that grows and shrinks while its producer, its consumer and those who have it grow are killed, each at random
//! moments, and replaced.
//!
//! They note in words outside of the ring what they do: a producer before it pushes and after, a consumer before it gives a
//! message back and after. So each message that comes is known at once to be the next one, or the one that a dead
//! consumer had and had not given back.

mod members;
mod notes;

use self::members::Member;
use self::notes::{Notes, Orders};
use super::{Message, REST, message};
use crate::support::storm::growers;
use crate::support::{Dice, Forked, Name, fork_child, state_of, traces_of};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use slipring::error::TryPushError;
use slipring::spsc::Ring;
use slipring::{Observer, Options};
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

const PARTS: [Part; 4] = [Part::Producer, Part::Consumer, Part::Grower, Part::Grower];
/// Between two kills.
const SHORTEST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(5);
const INTERVAL: Duration = Duration::from_millis(3);
/// How long may nothing flow, and nobody leave who was told to, before it counts as stuck.
const STUCK: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Producer,
    Consumer,
    Grower,
}

/// How a storm went.
#[derive(Clone, Copy, Default)]
pub(crate) struct Report {
    /// Of producers, of consumers, and of growers.
    pub(crate) kills: [u64; 3],
    pub(crate) growths: u64,
    pub(crate) messages: u64,
    /// Messages that came again, from a dead consumer's hands.
    pub(crate) again: u64,
    time: Duration,
}

impl Report {
    pub(crate) fn all_kills(&self) -> u64 {
        self.kills.iter().sum()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, kills) in self.kills.iter_mut().zip(other.kills) {
            *sum += kills;
        }
        self.growths += other.growths;
        self.messages += other.messages;
        self.again += other.again;
        self.time += other.time;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [producers, consumers, growers] = self.kills;
        let kills = self.all_kills();
        write!(
            f,
            "{kills} kills ({producers} of producers, {consumers} of consumers, {growers} of growers) in {:.1?}, \
             {} growths, {} messages, {} of which came again",
            self.time, self.growths, self.messages, self.again
        )
    }
}

/// A process, and the life that it lives.
struct Place {
    part: Part,
    life: u64,
    child: Forked,
}

struct Storm<'s> {
    name: &'s str,
    options: &'s Options,
    notes: &'s Notes,
    dice: Dice,
    lives: u64,
    places: Vec<Place>,
    latest: u64,
    flowed: Instant,
    report: Report,
}

/// Kills `kills` of those who work on a ring of its own, and says how it went.
pub(crate) fn storm(options: &Options, seed: u64, kills: u64) -> Report {
    let name = Name::new("growing");
    let options = options.clone().liveness_interval(INTERVAL);
    let ring = Ring::<Message>::create_with(&name, &options).unwrap();
    let notes = Notes::new(kills + PARTS.len() as u64);
    let mut storm = Storm {
        name: &name,
        options: &options,
        notes: &notes,
        dice: Dice::new(seed),
        lives: 0,
        places: Vec::new(),
        latest: 0,
        flowed: Instant::now(),
        report: Report::default(),
    };
    let start = Instant::now();
    storm.rage(kills);
    storm.end();
    let lives = 0..storm.lives;
    let mut report = storm.report;
    report.time = start.elapsed();
    report.growths = notes.growths();
    report.again = notes.again();
    report.messages = lives.map(|life| notes.settle(life)).sum();
    is_as_new(&name, &ring, notes.attempts());
    drop(ring);
    assert_eq!(traces_of(&name), (0, 0), "mappings and descriptors");
    report
}

impl Storm<'_> {
    fn rage(&mut self, kills: u64) {
        self.places = PARTS.map(|part| self.bear(part)).into();
        while self.report.all_kills() < kills {
            let pause = self.dice.below((LONGEST - SHORTEST).as_nanos() as u64);
            self.watch(SHORTEST + Duration::from_nanos(pause));
            let victim = self.dice.below(PARTS.len() as u64) as usize;
            self.lie_in_wait(victim);
            let Place { part, child, .. } = &mut self.places[victim];
            let (part, ended) = (*part, child.kill_and_reap());
            assert!(
                matches!(ended, WaitStatus::Signaled(_, Signal::SIGKILL, _)),
                "{part:?}: {ended:?}"
            );
            self.report.kills[part as usize] += 1;
            self.places[victim] = self.bear(part);
        }
    }

    fn bear(&mut self, part: Part) -> Place {
        let life = self.lives;
        self.lives += 1;
        let child = fork_child(|| {
            let member = Member {
                ring: Ring::open_with(self.name, self.options).unwrap(),
                notes: self.notes,
                life,
                dice: Dice::new(life << 8 | self.dice.below(1 << 8)),
            };
            match part {
                Part::Producer => member.push_until_told(),
                Part::Consumer => member.take_until_told(),
                Part::Grower => member.grow_until_told(),
            }
        });
        Place { part, life, child }
    }

    /// Lets time pass, and sees to it that messages flow and that nobody ends by himself.
    fn watch(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let latest = self.notes.latest();
            if latest != self.latest {
                (self.latest, self.flowed) = (latest, Instant::now());
            }
            for index in 0..self.places.len() {
                if let Some(ended) = self.places[index].child.has_ended() {
                    panic!("{:?}: {ended:?}", self.places[index].part);
                }
            }
            if self.flowed.elapsed() > STUCK {
                self.give_up("nothing flows");
            }
            thread::sleep(Duration::from_micros(300));
        }
    }

    /// Waits for a moment just after a sign of life, or not.
    fn lie_in_wait(&mut self, victim: usize) {
        if self.dice.below(2) == 0 {
            return;
        }
        let Place { part, life, .. } = self.places[victim];
        let (patience, rest) = match part {
            Part::Grower => (growers::PAUSE, growers::GROWTH),
            Part::Producer | Part::Consumer => (SHORTEST, REST),
        };
        let sign = || match part {
            Part::Producer => self.notes.begun(life),
            Part::Consumer => self.notes.latest(),
            Part::Grower => self.notes.attempts(),
        };
        let (before, end) = (sign(), Instant::now() + patience);
        while sign() == before && Instant::now() < end {
            match part {
                Part::Grower => thread::sleep(Duration::from_micros(50)),
                Part::Producer | Part::Consumer => std::hint::spin_loop(),
            }
        }
        self.dice.spin(rest);
    }

    /// Lets everybody leave, the consumer when there is nothing left.
    fn end(&mut self) {
        self.notes.order(Orders::ProducersLeave);
        self.await_ends(|part| part != Part::Consumer);
        self.notes.order(Orders::AllLeave);
        self.await_ends(|_| true);
    }

    fn await_ends(&mut self, is_awaited: impl Fn(Part) -> bool) {
        let start = Instant::now();
        while self.places.iter().any(|place| is_awaited(place.part)) {
            let mut index = 0;
            while let Some(place) = self.places.get_mut(index) {
                match place.child.has_ended() {
                    Some(ended) => {
                        let is_well = matches!(ended, WaitStatus::Exited(_, 0));
                        assert!(is_well, "{:?}: {ended:?}", place.part);
                        self.places.remove(index);
                    }
                    None => index += 1,
                }
            }
            if start.elapsed() > STUCK {
                self.give_up("somebody does not leave");
            }
            thread::sleep(Duration::from_micros(300));
        }
    }

    fn give_up(&self, why: &str) -> ! {
        let members = self.places.iter().map(|place| {
            let pid = place.child.pid();
            (place.part, pid, state_of(pid, pid))
        });
        panic!(
            "stuck after {} kills: {why}\n{:?}\n{:#?}",
            self.report.all_kills(),
            members.collect::<Vec<_>>(),
            Observer::open(self.name).unwrap().snapshot()
        );
    }
}

/// Both ends can be had, every slot can be filled, and of the memory of rings that were there nothing but what each said of
/// itself is left.
fn is_as_new(name: &Name, ring: &Ring<Message>, attempts: u64) {
    const PAGE: u64 = 4096;
    const LAST: usize = 8;
    assert!(ring.is_empty());
    // What somebody allocated who was killed then goes when another ring follows.
    for capacity in [2, LAST] {
        ring.grow(capacity).unwrap();
    }
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for lap in 0..3 {
        for number in 0..LAST as u64 {
            producer.try_push(&message(lap, number)).unwrap();
        }
        assert_eq!(producer.try_push(&message(0, 0)), Err(TryPushError::Full));
        for number in 0..LAST as u64 {
            assert_eq!(consumer.try_pop(), Ok(message(lap, number)));
        }
    }
    let seen = Observer::open(name).unwrap().snapshot().unwrap();
    // The first ring, those that were to follow, two of the above, and the slots of the last.
    let most = (1 + attempts + 2 + 1) * PAGE;
    let allocated = seen.allocated;
    assert!(allocated <= most, "{allocated} of {most}: {seen:#?}");
}
