//! The other actions of participants: they detach and attach again, they fork, and they execute
//! other programs, with or without an open claim or guard.

use super::PopMode;
use super::log::{Action, Fate, Note, NoteWriter};
use super::members::{Member, attach};
use crate::support::{Random, fork_orphan};
use nix::unistd::execv;
use slipring::error::{TryPopError, TryPushError};
use slipring::mpmc::{Consumer, Producer};
use std::thread;
use std::time::Duration;

/// A participant takes such an action once in so many turns, on average.
const SELDOM: u64 = 10_000;
/// The longest time that a forked child lives: long enough to outlive a parent that is killed.
const CHILDHOOD: Duration = Duration::from_millis(20);

impl Member<'_> {
    pub(super) fn is_restless(&self, random: &mut Random) -> bool {
        self.round.is_restless && random.below(SELDOM) == 0
    }

    /// `message` is one that may be lost.
    pub(super) fn move_producer<const N: usize>(
        &self,
        mut producer: Producer<[u64; N]>,
        message: &[u64; N],
        random: &mut Random,
    ) -> Producer<[u64; N]> {
        match random.below(3) {
            0 => {
                drop(producer);
                self.log.count(Action::Returned);
                attach(|| self.open::<N>().producer())
            }
            1 => {
                self.fork(random, || {
                    matches!(producer.try_push(message), Err(TryPushError::Forked(_)))
                });
                producer
            }
            _ => {
                let claim = (random.below(2) == 0).then(|| producer.try_claim());
                if let Some(Ok(mut claim)) = claim {
                    claim.write(message);
                    self.execute();
                }
                self.execute()
            }
        }
    }

    pub(super) fn move_consumer<const N: usize>(
        &self,
        mut consumer: Consumer<[u64; N]>,
        notes: &mut NoteWriter<'_>,
        random: &mut Random,
    ) -> Consumer<[u64; N]> {
        match random.below(3) {
            0 => {
                drop(consumer);
                self.log.count(Action::Returned);
                attach(|| self.open::<N>().consumer())
            }
            1 => {
                self.fork(random, || {
                    matches!(consumer.try_pop(), Err(TryPopError::Forked(_)))
                });
                consumer
            }
            _ => {
                let is_reading = self.round.pop_mode == PopMode::Guards && random.below(2) == 0;
                if let Some(Ok(guard)) = is_reading.then(|| consumer.try_read()) {
                    notes.note(Note::new(&guard.get(), guard.is_redelivered()));
                    self.execute();
                }
                self.execute()
            }
        }
    }

    /// Forks a child that inherits the handle, must not be able to use it, and may outlive its
    /// parent.
    fn fork(&self, random: &mut Random, is_refused: impl FnOnce() -> bool) {
        let stay = CHILDHOOD.mul_f64(random.below(100) as f64 / 100.0);
        fork_orphan(|| {
            self.log.count(Action::Forked);
            if is_refused() {
                self.log.count(Action::Refused);
            }
            thread::sleep(stay);
        });
    }

    /// Executes another program. To the other participants this is a death.
    fn execute(&self) -> ! {
        self.log.count(Action::Executed);
        self.life.end(Fate::Killed);
        let refused = execv(c"/bin/true", &[c"true"]);
        panic!("{refused:?}");
    }
}
