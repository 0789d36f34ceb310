//! The death that is hardest to judge: of one of two who say that they claim the same position,
//! while the other is stopped. The position is the living one's, and only that it lives tells.
//!
//! A kill between saying so and losing the claim is too rare to wait for. So the storm finishes
//! the last store of some of its victims.

use super::killer::{STOP, Storm, signal, stands_still, up_to};
use nix::sys::signal::Signal;
use std::time::Instant;

impl<const N: usize> Storm<'_, N> {
    /// Stops somebody who has claimed something, and kills a rival; or else nobody.
    pub(super) fn kill_a_rival(&mut self) -> bool {
        let living = self.dice.below(self.places.len() as u64) as usize;
        let place = &self.places[living];
        if place.stopped_until.is_some() {
            return false;
        }
        signal(place.child.pid(), Signal::SIGSTOP);
        stands_still(place.child.pid());
        let claim = self.claim_of(living);
        let time = up_to(&mut self.dice, STOP);
        let place = &mut self.places[living];
        place.stopped_until = Some(Instant::now() + time);
        let Some((_, Some(claim))) = claim else {
            place.resume();
            return false;
        };
        let part = place.part;
        let peers: Vec<_> = (0..self.places.len())
            .filter(|&index| index != living && self.places[index].part == part)
            .collect();
        let victim = peers[self.dice.below(peers.len() as u64) as usize];
        // Nobody else recovers, or takes the seat, before the store is made.
        let Some(_lock) = self.bytes.take_recovery() else {
            return false;
        };
        signal(self.places[victim].child.pid(), Signal::SIGSTOP);
        stands_still(self.places[victim].child.pid());
        let said = self.claim_of(victim);
        self.kill_one(victim);
        if let Some((seat, None)) = said {
            self.bytes.say(seat, &claim);
            self.report.rivals += 1;
        }
        true
    }

    /// The seat of a participant, and what it says that it claims.
    fn claim_of(&self, index: usize) -> Option<(u32, Option<std::ops::Range<u64>>)> {
        let (seat, entry) = self.bytes.entry_of(self.places[index].child.pid())?;
        Some((seat, entry.claim()))
    }
}
