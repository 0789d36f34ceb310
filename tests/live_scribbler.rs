//! A peer that writes anything anywhere while others use the ring: nobody is stopped for good.

mod bounded;
#[macro_use]
mod kinds;
mod naming;
mod tampering;

use bounded::bounded;
use core::time::Duration;
use kinds::is_mpmc;
use naming::Name;
use slipring::{Mpmc, Peer, Protocol, Ring};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tampering::{SEATS, SLOTS, intent, options, slot, word};

const TAIL: u64 = 0x080;
const HEAD: u64 = 0x100;
const NOT_EMPTY: u64 = 0x180;
const NOT_FULL: u64 = 0x200;
/// Who came and went, and whether messages wait for a consumer.
const ROLLS: u64 = 0x284;
const ENTRIES: u64 = 0x400;
const SOON: Duration = Duration::from_millis(1);

for_each_kind! {
    names from naming;;
    files:
        a_scribbler_during_operations_stops_nobody_for_good
    ;
    everywhere:
}

/// Tells threads to stop, also if the one that waits for them panics.
struct StopsAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopsAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn push_and_pop<P: Protocol>(ring: &Ring<u64, P>) {
    let (producer, consumer) = (ring.producer(), ring.consumer());
    if let Ok(mut producer) = producer {
        for _ in 0..25 {
            let _ = producer.try_push(&1);
            let _ = producer.try_claim().map(|mut claim| claim.write(&2));
            let _ = producer.try_push_slice(&[1; 5]);
        }
        let _ = producer.push_timeout(&1, SOON);
        assert!(producer.len() <= 4 && ring.len() <= 4);
        assert!(producer.peer().is_ok_and(|peer| peer != Peer::Closed));
    }
    if let Ok(mut consumer) = consumer {
        for _ in 0..25 {
            let _ = consumer.try_pop();
            let _ = consumer.try_pop_slice(&mut [0; 3]);
            let _ = consumer.try_read().map(|guard| guard.put_back());
        }
        let _ = consumer.pop_timeout(SOON);
        assert!(consumer.len() <= 4);
    }
}

fn a_scribbler_during_operations_stops_nobody_for_good<P: Protocol>() {
    let consumer = match is_mpmc::<P>() {
        true => u64::from(SEATS),
        false => 1,
    };
    for (at, len) in [
        (TAIL, 8),
        (HEAD, 8),
        (NOT_EMPTY, 4),
        (NOT_FULL, 4),
        (ROLLS, 12),
        (ENTRIES, 0x20),
        (ENTRIES + 0x80 * consumer, 0x20),
        (intent(0).0, 16),
        (intent(1).0, 16),
        (intent(consumer).0, 16),
        (slot(0), 8),
    ] {
        let name = Name::new();
        let options = options::<P>(0).liveness_interval(Duration::from_micros(200));
        let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
        let file = name.file();
        let over = AtomicBool::new(false);
        let scribble = || {
            let mut noise = 1_u64;
            while !over.load(Ordering::Relaxed) {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                // Slots flip between free and full, positions are near, the rest takes any value.
                let word = match at {
                    SLOTS => word(0, (noise >> 60) as i64 & 1, 8),
                    TAIL | HEAD if noise >> 63 == 0 => (noise >> 60).to_le_bytes(),
                    ENTRIES.. if noise >> 63 == 0 => (noise >> 58 & 31).to_le_bytes(),
                    _ => (noise >> 20).to_le_bytes(),
                };
                for at in (at..at + len).step_by(4) {
                    file.write_all_at(&word[..4], at).unwrap();
                }
            }
        };
        bounded(|| {
            thread::scope(|scope| {
                scope.spawn(scribble);
                let _stops = StopsAtTheEnd(&over);
                let use_it = || (0..10).for_each(|_| push_and_pop(&ring));
                let others = is_mpmc::<P>().then(|| scope.spawn(use_it));
                use_it();
                if let Some(others) = others {
                    others.join().unwrap();
                }
            })
        });
        if is_mpmc::<P>() {
            // Whatever was forged, someone who recovers comes to an end.
            let ring = Ring::<u64, Mpmc>::open(&name);
            bounded(|| ring.unwrap().recover().unwrap());
        }
    }
}
