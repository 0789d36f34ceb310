//! Killing a child after each instruction of an operation, and settling accounts after each.

#![allow(dead_code, reason = "each test program uses a part of it")]

mod account;
pub(crate) mod crowd;
mod deeds;
mod doomed;
pub(crate) mod growing;
mod growth;
mod memory;
mod mpmc;
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

/// One operation, what stands before it, and what has to be true whenever it is killed.
pub(crate) trait Scene {
    /// Brings the ring into the state that the operation meets.
    fn prepare(&mut self);

    /// What the child does: it calls [`mark`](tracee::mark) before the operation and after it.
    fn act(&self);

    /// What happens while the child stands before the operation.
    fn meanwhile(&mut self) {}

    /// Whether the child falls asleep in the operation.
    fn sleeps(&self) -> bool {
        false
    }

    /// Wakes the child.
    fn wake(&mut self) {}

    /// What the others can do while the child is stopped in the operation.
    fn meet(&mut self, _stopped: u32) {}

    /// The ring's bytes.
    fn memory(&self) -> &Memory;

    /// Lets the survivors go on, and settles the account. `means` chooses one of their
    /// [`MEANS`].
    fn settle(&mut self, death: Death, means: usize);
}

/// How the child died.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death {
    /// Whether the operation had returned.
    pub(crate) has_returned: bool,
    /// Whether it stood elsewhere than whoever went before it: where the kernel or the clock
    /// answered otherwise.
    pub(crate) is_astray: bool,
}

/// An operation to be killed everywhere.
pub(crate) struct Drill {
    pub(crate) name: &'static str,
    pub(crate) set_up: fn() -> Box<dyn Scene>,
}

/// Which points to kill at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Points {
    /// Each; where much is at stake, with all of the survivors' means.
    All,
    /// Around each store, and some others.
    Some,
}

/// How many ways the survivors have to go on: blocked, trying, as newcomers, by recovering.
pub(crate) const MEANS: usize = 4;

/// How often a scene is used before it gives way to a new one: by then its name has lived for a
/// fraction of its watchdog's patience.
const KILLS_PER_SCENE: usize = 256;

/// What the kills of one operation met.
#[derive(Default)]
pub(crate) struct Tally {
    kills: usize,
    strays: usize,
    /// Kills while an intent stood, by the state of what it stood for.
    intents: usize,
    holes: usize,
    orphans: usize,
}

impl Tally {
    fn look(&mut self, memory: &Memory, death: Death) {
        self.kills += 1;
        self.strays += usize::from(death.is_astray);
        let (tail, head) = (memory.tail(), memory.head());
        let mut stood = false;
        let (mut is_hole, mut is_orphan) = (false, false);
        for intent in memory.intents() {
            stood = true;
            let is_producer = intent.index < PRODUCERS as usize;
            for position in intent.first..intent.first + u64::from(intent.count) {
                let slot = memory.slot(position);
                is_hole |= is_producer && position < tail && slot == Slot::Free;
                is_orphan |= !is_producer && position < head && slot == Slot::Full;
            }
        }
        self.intents += usize::from(stood);
        self.holes += usize::from(is_hole);
        self.orphans += usize::from(is_orphan);
    }
}

impl Drill {
    /// Kills the operation, and prints how often.
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
            tally.look(scene.memory(), death);
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

    /// Stops the operation at up to `most` points that are spread over it, one after the other, and lets it go on.
    pub(crate) fn pause(&self, most: usize) {
        let start = Instant::now();
        let mut scene = (self.set_up)();
        let (path, death) = Path::of(scene.as_mut(), &mut |_, _| {});
        self.settle(scene.as_mut(), death, Point::After(path.len()), 0, &path);
        let points: Vec<_> = path.around_stores().into_iter().collect();
        let stride = points.len().div_ceil(most);
        // Another part of them each time.
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

/// Where this program lies, so that an address can be looked up in it.
fn base() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let start = maps.split('-').next().unwrap();
    u64::from_str_radix(start, 16).unwrap()
}
