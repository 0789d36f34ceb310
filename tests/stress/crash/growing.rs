//! A ring that grows and shrinks while its producer, its consumer and the processes that grow it
//! are killed at random moments, and replaced.
//!
//! Each process records its operations in words outside of the ring: a producer before and after it
//! pushes, a consumer before and after it releases a slot. So a consumer checks each message at
//! once: it is the next one, or the one that a dead consumer held and had not released.

mod members;
mod notes;

use self::members::Member;
use self::notes::{Notes, Orders};
use super::{KILL_DELAY, Message, message};
use crate::support::storm::growers;
use crate::support::{Forked, Name, Random, fork_child, mapping_and_descriptor_counts, state_of};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use slipring::error::TryPushError;
use slipring::spsc::Ring;
use slipring::{Observer, Options};
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

const MEMBERS: [MemberKind; 4] = [
    MemberKind::Producer,
    MemberKind::Consumer,
    MemberKind::Grower,
    MemberKind::Grower,
];
/// The shortest and the longest time between two kills.
const SHORTEST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(5);
const INTERVAL: Duration = Duration::from_millis(3);
/// The time limit without a new message, and of a member that was ordered to leave.
const STUCK: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemberKind {
    Producer,
    Consumer,
    Grower,
}

/// The results of a storm.
#[derive(Clone, Copy, Default)]
pub(crate) struct Report {
    /// The kills of producers, of consumers, and of growers.
    pub(crate) kills: [u64; 3],
    pub(crate) growths: u64,
    pub(crate) messages: u64,
    /// Messages that were received a second time, because a dead consumer had held them.
    pub(crate) repeated: u64,
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
        self.repeated += other.repeated;
        self.time += other.time;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [producers, consumers, growers] = self.kills;
        let kills = self.all_kills();
        write!(
            f,
            "{kills} kills ({producers} of producers, {consumers} of consumers, {growers} of \
             growers) in {:.1?}, {} growths, {} messages, {} of which were received again",
            self.time, self.growths, self.messages, self.repeated
        )
    }
}

/// A member process, and its number in the order of all members.
struct Running {
    kind: MemberKind,
    generation: u64,
    child: Forked,
}

struct Storm<'s> {
    name: &'s str,
    options: &'s Options,
    notes: &'s Notes,
    random: Random,
    generations: u64,
    members: Vec<Running>,
    latest: u64,
    progressed: Instant,
    report: Report,
}

/// Creates a ring, kills `kills` of its members, and returns the report.
pub(crate) fn storm(options: &Options, seed: u64, kills: u64) -> Report {
    let name = Name::new("growing");
    let options = options.clone().liveness_interval(INTERVAL);
    let ring = Ring::<Message>::create_with(&name, &options).unwrap();
    let notes = Notes::new(kills + MEMBERS.len() as u64);
    let mut storm = Storm {
        name: &name,
        options: &options,
        notes: &notes,
        random: Random::new(seed),
        generations: 0,
        members: Vec::new(),
        latest: 0,
        progressed: Instant::now(),
        report: Report::default(),
    };
    let start = Instant::now();
    storm.run(kills);
    storm.finish_members();
    let generations = 0..storm.generations;
    let mut report = storm.report;
    report.time = start.elapsed();
    report.growths = notes.growths();
    report.repeated = notes.repeated();
    report.messages = generations
        .map(|generation| notes.check_received(generation))
        .sum();
    assert_as_new(&name, &ring, notes.attempts());
    drop(ring);
    assert_eq!(
        mapping_and_descriptor_counts(&name),
        (0, 0),
        "mappings and descriptors"
    );
    report
}

impl Storm<'_> {
    fn run(&mut self, kills: u64) {
        self.members = MEMBERS.map(|kind| self.start_member(kind)).into();
        while self.report.all_kills() < kills {
            let pause = self.random.below((LONGEST - SHORTEST).as_nanos() as u64);
            self.check_progress_for(SHORTEST + Duration::from_nanos(pause));
            let victim = self.random.below(MEMBERS.len() as u64) as usize;
            self.pick_kill_moment(victim);
            let Running { kind, child, .. } = &mut self.members[victim];
            let (kind, ended) = (*kind, child.kill_and_reap());
            assert!(
                matches!(ended, WaitStatus::Signaled(_, Signal::SIGKILL, _)),
                "{kind:?}: {ended:?}"
            );
            self.report.kills[kind as usize] += 1;
            self.members[victim] = self.start_member(kind);
        }
    }

    fn start_member(&mut self, kind: MemberKind) -> Running {
        let generation = self.generations;
        self.generations += 1;
        let child = fork_child(|| {
            let member = Member {
                ring: Ring::open_with(self.name, self.options).unwrap(),
                notes: self.notes,
                generation,
                random: Random::new(generation << 8 | self.random.below(1 << 8)),
            };
            match kind {
                MemberKind::Producer => member.push_until_ordered(),
                MemberKind::Consumer => member.pop_until_ordered(),
                MemberKind::Grower => member.grow_until_ordered(),
            }
        });
        Running {
            kind,
            generation,
            child,
        }
    }

    /// Waits for `time`. Panics if no message is received for long, or if a member ends by itself.
    fn check_progress_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let latest = self.notes.latest();
            if latest != self.latest {
                (self.latest, self.progressed) = (latest, Instant::now());
            }
            for index in 0..self.members.len() {
                if let Some(ended) = self.members[index].child.has_ended() {
                    panic!("{:?}: {ended:?}", self.members[index].kind);
                }
            }
            if self.progressed.elapsed() > STUCK {
                self.panic_stuck("no message was received");
            }
            thread::sleep(Duration::from_micros(300));
        }
    }

    /// Picks the moment of the kill: at once, or shortly after the victim has made progress.
    fn pick_kill_moment(&mut self, victim: usize) {
        if self.random.below(2) == 0 {
            return;
        }
        let Running {
            kind, generation, ..
        } = self.members[victim];
        let (limit, delay) = match kind {
            MemberKind::Grower => (growers::PAUSE, growers::GROWTH),
            MemberKind::Producer | MemberKind::Consumer => (SHORTEST, KILL_DELAY),
        };
        let progress = || match kind {
            MemberKind::Producer => self.notes.begun(generation),
            MemberKind::Consumer => self.notes.latest(),
            MemberKind::Grower => self.notes.attempts(),
        };
        let (before, end) = (progress(), Instant::now() + limit);
        while progress() == before && Instant::now() < end {
            match kind {
                MemberKind::Grower => thread::sleep(Duration::from_micros(50)),
                MemberKind::Producer | MemberKind::Consumer => std::hint::spin_loop(),
            }
        }
        self.random.spin(delay);
    }

    /// Orders all members to leave, the consumer once the ring is empty.
    fn finish_members(&mut self) {
        self.notes.order(Orders::ProducersLeave);
        self.wait_for_exits(|kind| kind != MemberKind::Consumer);
        self.notes.order(Orders::AllLeave);
        self.wait_for_exits(|_| true);
    }

    fn wait_for_exits(&mut self, is_leaving: impl Fn(MemberKind) -> bool) {
        let start = Instant::now();
        while self.members.iter().any(|member| is_leaving(member.kind)) {
            let mut index = 0;
            while let Some(member) = self.members.get_mut(index) {
                match member.child.has_ended() {
                    Some(ended) => {
                        let is_success = matches!(ended, WaitStatus::Exited(_, 0));
                        assert!(is_success, "{:?}: {ended:?}", member.kind);
                        self.members.remove(index);
                    }
                    None => index += 1,
                }
            }
            if start.elapsed() > STUCK {
                self.panic_stuck("a member does not leave");
            }
            thread::sleep(Duration::from_micros(300));
        }
    }

    fn panic_stuck(&self, reason: &str) -> ! {
        let members = self.members.iter().map(|member| {
            let pid = member.child.pid();
            (member.kind, pid, state_of(pid, pid))
        });
        panic!(
            "stuck after {} kills: {reason}\n{:?}\n{:#?}",
            self.report.all_kills(),
            members.collect::<Vec<_>>(),
            Observer::open(self.name).unwrap().snapshot()
        );
    }
}

/// Checks that both seats can be claimed, that every slot can be filled, and that at most the
/// header page of each earlier segment is still allocated.
fn assert_as_new(name: &Name, ring: &Ring<Message>, attempts: u64) {
    const PAGE: u64 = 4096;
    const LAST: usize = 8;
    assert!(ring.is_empty());
    // Memory that a killed grower had allocated is reclaimed when the ring grows again.
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
    // The headers of the first segment, of each attempt and of the two above, and the last slots.
    let limit = (1 + attempts + 2 + 1) * PAGE;
    let allocated = seen.allocated;
    assert!(allocated <= limit, "{allocated} of {limit}: {seen:#?}");
}
