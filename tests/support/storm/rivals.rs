//! The death that is hardest for recovery: two participants have set an intent for the same
//! position, one of them is dead, and the other is stopped. The position belongs to the live one,
//! and only liveness distinguishes the two.
//!
//! A kill between the store of the intent and the lost claim is too rare to wait for. The storm
//! therefore stores the intent on behalf of some of its victims.

use super::killer::{STOP, Storm, signal, up_to, wait_until_stopped};
use nix::sys::signal::Signal;
use std::time::Instant;

impl<const N: usize> Storm<'_, N> {
    /// Stops a participant that has a claim, and kills a rival of it. Returns whether one was
    /// killed.
    pub(super) fn kill_a_rival(&mut self) -> bool {
        let live = self.random.below(self.participants.len() as u64) as usize;
        let participant = &self.participants[live];
        if participant.stopped_until.is_some() {
            return false;
        }
        signal(participant.child.pid(), Signal::SIGSTOP);
        wait_until_stopped(participant.child.pid());
        let claim = self.claim_of(live);
        let time = up_to(&mut self.random, STOP);
        let participant = &mut self.participants[live];
        participant.stopped_until = Some(Instant::now() + time);
        let Some((_, Some(claim))) = claim else {
            participant.resume();
            return false;
        };
        let part = participant.part;
        let peers: Vec<_> = (0..self.participants.len())
            .filter(|&index| index != live && self.participants[index].part == part)
            .collect();
        let victim = peers[self.random.below(peers.len() as u64) as usize];
        // The recovery lock keeps other processes from recovering, and from taking the seat, before
        // the intent is stored.
        let Some(_lock) = self.bytes.take_recovery() else {
            return false;
        };
        signal(self.participants[victim].child.pid(), Signal::SIGSTOP);
        wait_until_stopped(self.participants[victim].child.pid());
        let intent = self.claim_of(victim);
        self.kill_one(victim);
        if let Some((seat, None)) = intent {
            self.bytes.set_intent(seat, &claim);
            self.report.rivals += 1;
        }
        true
    }

    /// The seat of a participant, and the positions of its intent.
    fn claim_of(&self, index: usize) -> Option<(u32, Option<std::ops::Range<u64>>)> {
        let (seat, entry) = self.bytes.entry_of(self.participants[index].child.pid())?;
        Some((seat, entry.claim()))
    }
}
