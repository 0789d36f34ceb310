//! Exclusive locks, with which a process removes a ring that has no participants: no process
//! attaches in the meantime, and no other ring is removed in its place.

use crate::support;
use crate::support::backings::{BackingKind, with_backing};
use crate::support::{Name, fork_child};
use slipring::error::{AttachError, ExclusiveError, OpenError, UnlinkError};
use slipring::{ExclusiveRing, Options, mpmc, spsc};
use std::fs;

const BACKINGS: [BackingKind; 3] = [
    BackingKind::SharedMemory,
    BackingKind::File,
    BackingKind::SystemV,
];

#[test]
fn attach_during_exclusive_lock_is_refused() {
    for backing in BACKINGS {
        with_backing(backing, || {
            let [one, many] = ["one", "many"].map(Name::new);
            let spsc = spsc::Ring::<u64>::create(&one, 4).unwrap();
            let mpmc = mpmc::Ring::<u64>::create(&many, 4).unwrap();
            let locked = [&one, &many].map(|name| ExclusiveRing::lock(name).unwrap());
            assert!(matches!(spsc.producer(), Err(AttachError::Taken { .. })));
            let refused = mpmc.consumer();
            assert!(
                matches!(refused, Err(AttachError::Recovering(busy)) if busy.pid == std::process::id())
            );
            drop(locked);
            assert!(spsc.producer().is_ok() && mpmc.consumer().is_ok());
            assert!(!spsc.is_closed() && !mpmc.is_closed());
        });
    }
}

#[test]
fn exclusive_lock_fails_for_live_seat_holder_but_not_for_dead() {
    for backing in BACKINGS {
        with_backing(backing, || {
            let name = Name::new("held");
            let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
            let consumer = ring.consumer().unwrap();
            let this = std::process::id();
            assert!(
                matches!(ExclusiveRing::lock(&name), Err(ExclusiveError::InUse { pid }) if pid == this)
            );
            drop(consumer);
            // A dead participant does not prevent it.
            fork_child(|| std::mem::forget(ring.reopen().unwrap().producer().unwrap())).reap();
            ExclusiveRing::lock(&name).unwrap().unlink().unwrap();
        });
    }
}

#[test]
fn open_ring_after_exclusive_unlink_is_closed() {
    for backing in BACKINGS {
        with_backing(backing, || {
            let name = Name::new("gone");
            let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
            ring.producer().unwrap().push(&1).unwrap();
            let exclusive = ExclusiveRing::lock(&name).unwrap();
            assert_eq!((exclusive.len(), exclusive.is_empty()), (1, false));
            assert!(exclusive.created_at().elapsed().unwrap() < support::TIME_LIMIT);
            exclusive.unlink().unwrap();
            assert!(ring.is_closed());
            let missing = ExclusiveRing::lock(&name).unwrap_err();
            assert!(matches!(
                missing,
                ExclusiveError::Open(OpenError::NotFound { .. })
            ));
        });
    }
}

#[test]
fn exclusive_unlink_after_name_replaced_keeps_other_ring() {
    for backing in [BackingKind::SharedMemory, BackingKind::File] {
        with_backing(backing, || {
            let [name, other] = ["first", "second"].map(Name::new);
            spsc::Ring::<u64>::create(&name, 4).unwrap();
            let exclusive = ExclusiveRing::lock(&name).unwrap();
            spsc::Ring::<u64>::create(&other, 8).unwrap();
            fs::rename(other.path(), name.path()).unwrap();
            assert!(matches!(
                exclusive.unlink(),
                Err(UnlinkError::NotFound { .. })
            ));
            let capacity = Options::new().capacity(8);
            assert!(spsc::Ring::<u64>::open_with(&name, &capacity).is_ok());
        });
    }
}
