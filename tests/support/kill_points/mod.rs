//! Kill points: a child is killed after each instruction of an operation, and after each kill the
//! survivors must account for every message.

#![allow(dead_code, reason = "each test program uses some of these modules")]

pub(crate) mod crowd;
mod dead;
pub(crate) mod growing;
mod growth;
mod memory;
mod messages;
mod mpmc;
mod operations;
mod path;
mod pinned;
pub(crate) mod spsc;
pub(crate) mod tracee;
mod watched;
mod ways;

pub(crate) use self::pinned::Pinned;
pub(crate) use self::tracee::is_allowed;

use self::memory::{Memory, Slot};
use self::mpmc::PRODUCERS;
use self::path::{Path, Point, begin};
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::time::{Duration, Instant};

/// One operation, the state before it, and the conditions that must hold after a kill.
pub(crate) trait Scene {
    /// Brings the ring into the state in which the operation begins.
    fn prepare(&mut self);

    /// The body of the child. It calls [`mark`](tracee::mark) before and after the operation.
    fn act(&self);

    /// Runs while the child is stopped before the operation.
    fn meanwhile(&mut self) {}

    /// Whether the child blocks in the operation.
    fn sleeps(&self) -> bool {
        false
    }

    /// Wakes the child.
    fn wake(&mut self) {}

    /// Checks what the survivors can do while the child is stopped in the operation.
    fn meet(&mut self, _stopped: u32) {}

    /// The bytes of the ring.
    fn memory(&self) -> &Memory;

    /// Lets the survivors continue, and accounts for every message. `means` chooses one of their
    /// [`MEANS`].
    fn settle(&mut self, death: Death, means: usize);
}

/// How the child died.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death {
    /// Whether the operation had returned.
    pub(crate) has_returned: bool,
    /// Whether it had left the path of the first child, because the kernel or the clock returned
    /// another result.
    pub(crate) is_astray: bool,
}

/// An operation that is killed at many points.
pub(crate) struct Drill {
    pub(crate) name: &'static str,
    pub(crate) set_up: fn() -> Box<dyn Scene>,
}

/// The points to kill at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Points {
    /// Every instruction; around stores and in short operations with all of the survivors' means.
    All,
    /// Around each store, and some random others.
    Some,
}

/// The number of ways in which the survivors can continue: with blocking calls, with non-blocking
/// calls, as new participants, or with an explicit recovery.
pub(crate) const MEANS: usize = 4;

/// The number of kills for which a scene is used. A new scene has a new name, which keeps the
/// watchdog of the name from expiring.
const KILLS_PER_SCENE: usize = 256;

/// Statistics of the kills of one operation.
#[derive(Default)]
pub(crate) struct Tally {
    kills: usize,
    strays: usize,
    /// Kills while an intent was set, and those in which it covered a free slot below the tail, or
    /// a full slot below the head.
    intents: usize,
    holes: usize,
    orphans: usize,
}

impl Tally {
    fn count(&mut self, memory: &Memory, death: Death) {
        self.kills += 1;
        self.strays += usize::from(death.is_astray);
        let (tail, head) = (memory.tail(), memory.head());
        let mut is_set = false;
        let (mut is_hole, mut is_orphan) = (false, false);
        for intent in memory.intents() {
            is_set = true;
            let is_producer = intent.index < PRODUCERS as usize;
            for position in intent.first..intent.first + u64::from(intent.count) {
                let slot = memory.slot(position);
                is_hole |= is_producer && position < tail && slot == Slot::Free;
                is_orphan |= !is_producer && position < head && slot == Slot::Full;
            }
        }
        self.intents += usize::from(is_set);
        self.holes += usize::from(is_hole);
        self.orphans += usize::from(is_orphan);
    }
}

impl Drill {
    /// Kills the operation at the chosen points, and prints statistics.
    pub(crate) fn run(&self, points: Points) {
        let start = Instant::now();
        let mut scene = (self.set_up)();
        let (path, death) = Path::of(scene.as_mut(), &mut |_, _| {});
        self.settle(scene.as_mut(), death, Point::After(path.len()), 0, &path);
        let mut tally = Tally::default();
        let mut slowest = Duration::ZERO;
        for (number, (point, means)) in path.points(points).into_iter().enumerate() {
            if number % KILLS_PER_SCENE == KILLS_PER_SCENE - 1 {
                scene = (self.set_up)();
            }
            let tracee = begin(scene.as_mut());
            let death = path.kill(tracee, scene.as_mut(), point);
            tally.count(scene.memory(), death);
            let dead = Instant::now();
            self.settle(scene.as_mut(), death, point, means, &path);
            slowest = slowest.max(dead.elapsed());
        }
        assert!(tally.strays < tally.kills / 2, "{} astray", tally.strays);
        println!(
            "{:44}{:6} instructions{:4} stores{:7} kills ({} astray){:7} intents{:6} holes\
             {:6} orphans{:5} ms the slowest account{:7} ms in all",
            self.name,
            path.len(),
            path.changes.len(),
            tally.kills,
            tally.strays,
            tally.intents,
            tally.holes,
            tally.orphans,
            slowest.as_millis(),
            start.elapsed().as_millis()
        );
    }

    /// Stops the operation at up to `most` points that are spread over it, one at a time, and
    /// resumes it.
    pub(crate) fn pause(&self, most: usize) {
        let start = Instant::now();
        let mut scene = (self.set_up)();
        let (path, death) = Path::of(scene.as_mut(), &mut |_, _| {});
        self.settle(scene.as_mut(), death, Point::After(path.len()), 0, &path);
        let points: Vec<_> = path.around_stores().into_iter().collect();
        let stride = points.len().div_ceil(most);
        // Each run chooses other points.
        let first = process::id() as usize % stride;
        let chosen = points.into_iter().skip(first).step_by(stride);
        let mut pauses = 0;
        for (means, steps) in chosen.enumerate() {
            let tracee = begin(scene.as_mut());
            path.pause(tracee, scene.as_mut(), steps);
            let death = Death {
                has_returned: true,
                is_astray: false,
            };
            self.settle(scene.as_mut(), death, Point::After(steps), means, &path);
            pauses += 1;
        }
        println!(
            "{:44}{pauses:7} pauses{:7} ms in all",
            self.name,
            start.elapsed().as_millis()
        );
    }

    fn settle(&self, scene: &mut dyn Scene, death: Death, point: Point, means: usize, path: &Path) {
        let settled = panic::catch_unwind(AssertUnwindSafe(|| scene.settle(death, means)));
        if let Err(panic) = settled {
            let (Point::After(steps) | Point::Asleep(steps)) = point;
            let passed = path.changes.iter().filter(|&&at| at <= steps).count();
            eprintln!(
                "{}: killed at {point:?} of {}, after {passed} of {} stores, at {:#x}, means {means}, \
                 returned: {}",
                self.name,
                path.len(),
                path.changes.len(),
                path.instructions[steps] - base(),
                death.has_returned,
            );
            panic::resume_unwind(panic);
        }
    }
}

/// The address at which this program is loaded, so that an address can be looked up in it.
fn base() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let start = maps.split('-').next().unwrap();
    u64::from_str_radix(start, 16).unwrap()
}
