//! Removing a ring that nobody has: nobody comes meanwhile, and no other ring goes in its stead.

use crate::support;
use crate::support::backings::{Place, within};
use crate::support::{Name, fork_child};
use slipring::error::{AttachError, ExclusiveError, OpenError, UnlinkError};
use slipring::{ExclusiveRing, Options, mpmc, spsc};
use std::fs;

const PLACES: [Place; 3] = [Place::SharedMemory, Place::File, Place::SystemV];

#[test]
fn while_nobody_may_come_nobody_comes() {
    for place in PLACES {
        within(place, || {
            let [one, many] = ["one", "many"].map(Name::new);
            let spsc = spsc::Ring::<u64>::create(&one, 4).unwrap();
            let mpmc = mpmc::Ring::<u64>::create(&many, 4).unwrap();
            let vacancies = [&one, &many].map(|name| ExclusiveRing::lock(name).unwrap());
            assert!(matches!(spsc.producer(), Err(AttachError::Taken { .. })));
            let refused = mpmc.consumer();
            assert!(
                matches!(refused, Err(AttachError::Recovering(busy)) if busy.pid == std::process::id())
            );
            drop(vacancies);
            assert!(spsc.producer().is_ok() && mpmc.consumer().is_ok());
            assert!(!spsc.is_closed() && !mpmc.is_closed());
        });
    }
}

#[test]
fn who_has_a_seat_keeps_the_ring() {
    for place in PLACES {
        within(place, || {
            let name = Name::new("held");
            let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
            let consumer = ring.consumer().unwrap();
            let us = std::process::id();
            assert!(
                matches!(ExclusiveRing::lock(&name), Err(ExclusiveError::InUse { pid }) if pid == us)
            );
            drop(consumer);
            // A dead one does not.
            fork_child(|| std::mem::forget(ring.reopen().unwrap().producer().unwrap())).reap();
            ExclusiveRing::lock(&name).unwrap().unlink().unwrap();
        });
    }
}

#[test]
fn who_had_it_open_is_told_that_it_is_gone() {
    for place in PLACES {
        within(place, || {
            let name = Name::new("gone");
            let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
            ring.producer().unwrap().push(&1).unwrap();
            let vacancy = ExclusiveRing::lock(&name).unwrap();
            assert_eq!((vacancy.len(), vacancy.is_empty()), (1, false));
            assert!(vacancy.created_at().elapsed().unwrap() < support::PATIENCE);
            vacancy.unlink().unwrap();
            assert!(ring.is_closed());
            let none = ExclusiveRing::lock(&name).unwrap_err();
            assert!(matches!(
                none,
                ExclusiveError::Open(OpenError::NotFound { .. })
            ));
        });
    }
}

#[test]
fn another_ring_of_the_name_stays() {
    for place in [Place::SharedMemory, Place::File] {
        within(place, || {
            let [name, other] = ["first", "second"].map(Name::new);
            spsc::Ring::<u64>::create(&name, 4).unwrap();
            let vacancy = ExclusiveRing::lock(&name).unwrap();
            spsc::Ring::<u64>::create(&other, 8).unwrap();
            fs::rename(other.path(), name.path()).unwrap();
            assert!(matches!(
                vacancy.unlink(),
                Err(UnlinkError::NotFound { .. })
            ));
            let capacity = Options::new().capacity(8);
            assert!(spsc::Ring::<u64>::open_with(&name, &capacity).is_ok());
        });
    }
}
