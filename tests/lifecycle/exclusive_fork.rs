//! An exclusive lock in a forked child: it belongs to the parent.

use crate::support::backings::{BackingKind, with_backing};
use crate::support::{Name, fork_child};
use slipring::error::{ExclusiveError, UnlinkError};
use slipring::{ExclusiveRing, Observer, spsc};
use std::mem::ManuallyDrop;

/// Creates a ring in each kind of named object, and passes its name to `test`.
fn with_each_backing(test: impl Fn(&Name)) {
    for backing in [
        BackingKind::SharedMemory,
        BackingKind::File,
        BackingKind::SystemV,
    ] {
        with_backing(backing, || {
            let name = Name::new("exclusive");
            spsc::Ring::<u64>::create(&name, 4).unwrap();
            test(&name);
        });
    }
}

#[test]
fn unlink_in_forked_child_returns_forked() {
    with_each_backing(|name| {
        let mut exclusive = ManuallyDrop::new(ExclusiveRing::lock(name).unwrap());
        fork_child(|| {
            // SAFETY: the child's copy of the value is not used again.
            let exclusive = unsafe { ManuallyDrop::take(&mut exclusive) };
            let refused = exclusive.unlink();
            assert!(matches!(refused, Err(UnlinkError::Forked(_))), "{name}");
        })
        .finish();
        let snapshot = Observer::open(name).unwrap().snapshot().unwrap();
        assert!(!snapshot.is_closed, "{name}: the child closed the ring");
        drop(ManuallyDrop::into_inner(exclusive));
    });
}

#[test]
fn drop_in_forked_child_releases_no_lock() {
    with_each_backing(|name| {
        let mut exclusive = ManuallyDrop::new(ExclusiveRing::lock(name).unwrap());
        fork_child(|| {
            // SAFETY: the child's copy of the value is not used again.
            drop(unsafe { ManuallyDrop::take(&mut exclusive) });
        })
        .finish();
        let refused = ExclusiveRing::lock(name);
        let is_locked = matches!(
            refused,
            Err(ExclusiveError::Recovering(_) | ExclusiveError::InUse { .. })
        );
        assert!(is_locked, "{name}: found {refused:?}");
        drop(ManuallyDrop::into_inner(exclusive));
        let unlocked = ExclusiveRing::lock(name);
        assert!(unlocked.is_ok(), "{name}: found {unlocked:?}");
    });
}
