//! The path of a child through an operation: its sequence of instructions.

use super::memory::Memory;
use super::tracee::{Moved, Next, Tracee};
use super::{Death, MEANS, Points, Scene};
use crate::support::Random;
use std::collections::{BTreeSet, HashMap};
use std::mem;

/// The path of an operation that is not killed.
pub(super) struct Path {
    /// The address of each instruction, and of the mark after the last one.
    pub(super) instructions: Vec<u64>,
    /// For each instruction, the index of the last one before it at the same address.
    before: Vec<Option<usize>>,
    /// For each instruction, whether it fills a range of the stack. Its rounds count as one: they
    /// would add thousands of equal kill points that have nothing to do with the protocol.
    fills_stack: Vec<bool>,
    /// The numbers of instructions after which the ring's bytes had changed.
    pub(super) changes: Vec<usize>,
    /// The instructions in which the child slept.
    sleeps: Vec<usize>,
}

impl Path {
    /// Steps a child through the whole operation, and kills it afterwards.
    /// `notice` sees the ring after each instruction.
    pub(super) fn of(
        scene: &mut dyn Scene,
        notice: &mut dyn FnMut(usize, &Memory),
    ) -> (Self, Death) {
        /// A bound above the length of every operation.
        const MOST: usize = 200_000;
        let mut tracee = begin(scene);
        let mut path = Self {
            instructions: Vec::new(),
            before: Vec::new(),
            fills_stack: Vec::new(),
            changes: Vec::new(),
            sleeps: Vec::new(),
        };
        let (mut seen, mut known) = (HashMap::new(), HashMap::new());
        let mut copy = Vec::new();
        scene.memory().note(&mut copy);
        loop {
            let done = path.instructions.len();
            assert!(done < MOST, "the operation does not end");
            let Next { at, is_mark, past } = tracee.next(&mut known);
            path.instructions.push(at);
            path.before.push(seen.insert(at, done));
            if is_mark {
                break;
            }
            let may_sleep = scene.sleeps();
            let mut asleep = || {
                path.sleeps.push(done);
                scene.wake();
            };
            let moved = match past {
                Some(next) => tracee.run_to(next, None),
                None => tracee.step(may_sleep.then_some(&mut asleep)),
            };
            assert_eq!(
                moved,
                Moved::Stands,
                "the child did not stop at the next instruction"
            );
            path.fills_stack.push(past.is_some());
            if scene.memory().note(&mut copy) {
                path.changes.push(done + 1);
            }
            notice(done + 1, scene.memory());
        }
        assert_eq!(
            scene.sleeps(),
            !path.sleeps.is_empty(),
            "the child slept, or did not, against expectation"
        );
        let death = Death {
            has_returned: true,
            is_astray: false,
        };
        tracee.kill();
        (path, death)
    }

    pub(super) fn len(&self) -> usize {
        self.instructions.len() - 1
    }

    /// Runs a child along the path, and kills it at a point of it.
    pub(super) fn kill(&self, mut tracee: Tracee, scene: &mut dyn Scene, point: Point) -> Death {
        let (Point::After(steps) | Point::Asleep(steps)) = point;
        let mut moved = self.lead(&mut tracee, scene, steps);
        if matches!(point, Point::Asleep(_)) && moved == Moved::Stands {
            moved = tracee.step_into_sleep();
        }
        let at = (moved == Moved::Stands).then(|| tracee.at());
        let end = self.instructions[self.len()];
        let death = Death {
            // The child runs into the mark to pass it.
            has_returned: moved == Moved::Ended || at == Some(end) || at == Some(end + 1),
            is_astray: at.is_some_and(|at| at != self.instructions[steps]),
        };
        tracee.kill();
        death
    }

    /// Runs a child along the path, stops it at a point while the others continue, and then lets it
    /// run to its end.
    pub(super) fn pause(&self, mut tracee: Tracee, scene: &mut dyn Scene, steps: usize) {
        self.lead(&mut tracee, scene, steps);
        scene.meet(tracee.pid());
        tracee.finish();
    }

    /// Runs a child along the path, until it reaches a point or leaves the path.
    fn lead(&self, tracee: &mut Tracee, scene: &mut dyn Scene, steps: usize) -> Moved {
        /// Up to so many instructions, stepping is faster than a breakpoint.
        const FEW: usize = 4;
        let mut moved = Moved::Stands;
        let mut done = 0;
        let mut is_awake = false;
        while moved == Moved::Stands && done < steps {
            let leap = self.leap(done, steps);
            let next = if leap - done < FEW { done + 1 } else { leap };
            // It may sleep in other instructions than the first child did, and more than once.
            let may_sleep = scene.sleeps();
            let mut asleep = || {
                if !mem::replace(&mut is_awake, true) {
                    scene.wake();
                }
            };
            let asleep = may_sleep.then_some(&mut asleep as &mut dyn FnMut());
            moved = match next - done {
                1 if !self.fills_stack[done] => tracee.step(asleep),
                _ => tracee.run_to(self.instructions[next], asleep),
            };
            done = next;
        }
        moved
    }

    /// The last instruction in a range with an address that does not occur earlier in that range. A
    /// breakpoint there stops a child at that instruction.
    fn leap(&self, from: usize, to: usize) -> usize {
        let is_new = |&at: &usize| self.before[at].is_none_or(|before| before < from);
        (from + 1..=to).rev().find(is_new).unwrap_or(from + 1)
    }

    /// The points directly before and after each store.
    pub(super) fn around_stores(&self) -> BTreeSet<usize> {
        self.changes.iter().flat_map(|&at| [at - 1, at]).collect()
    }

    /// The points to kill at, each with the survivors' means.
    pub(super) fn points(&self, points: Points) -> Vec<(Point, usize)> {
        let asleep = self.sleeps.iter().map(|&at| Point::Asleep(at));
        match points {
            Points::All => {
                /// A shorter operation is killed at every instruction with all means.
                const SHORT: usize = 1000;
                /// So many instructions before and after a store are killed with all means in every
                /// operation.
                const NEAR: usize = 3;
                let is_near = |at| self.changes.iter().any(|&store| store.abs_diff(at) <= NEAR);
                let everywhere = |at| self.len() < SHORT || is_near(at);
                let means = |at| match everywhere(at) {
                    true => 0..MEANS,
                    false => at % MEANS..at % MEANS + 1,
                };
                let all = (0..=self.len()).map(|at| (Point::After(at), means(at)));
                let all = all.chain(asleep.map(|point| (point, 0..MEANS)));
                all.flat_map(|(point, means)| means.map(move |means| (point, means)))
                    .collect()
            }
            Points::Some => {
                /// The number of random points.
                const OTHERS: usize = 12;
                let mut chosen = self.around_stores();
                let mut random = Random::new(u64::from(std::process::id()));
                chosen.extend((0..OTHERS).map(|_| random.below(self.len() as u64 + 1) as usize));
                let after = chosen.into_iter().map(Point::After);
                let numbered = after.chain(asleep).enumerate();
                numbered.map(|(number, point)| (point, number)).collect()
            }
        }
    }
}

/// A point in an operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point {
    /// After a number of instructions.
    After(usize),
    /// Asleep in the instruction after that number.
    Asleep(usize),
}

pub(super) fn begin(scene: &mut dyn Scene) -> Tracee {
    scene.prepare();
    let tracee = Tracee::lead(|| scene.act());
    scene.meanwhile();
    tracee
}
