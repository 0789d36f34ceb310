//! An `ExclusiveRing` in a forked child: the locks belong to the parent.

use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use slipring::error::{ExclusiveError, UnlinkError};
use slipring::{ExclusiveRing, Observer, spsc};

/// Creates a ring in each kind of named object, and passes its name to `test`.
fn with_each_backing(test_name: &str, test: impl Fn(&str)) {
    let pid = std::process::id();
    // The upper half of the key differs between tests, the lower half between processes.
    let key = test_name.len() as u32;
    for name in [
        format!("/slipring-{test_name}-{pid}"),
        format!("sysv:{:#x}", key << 24 | pid & 0xff_ffff),
    ] {
        spsc::Ring::<u64>::create(&name, 4).unwrap();
        test(&name);
        slipring::unlink(&name).unwrap();
    }
}

/// Runs `child` in a forked child. Returns whether it returned `true`.
fn is_true_in_forked_child(child: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child calls nothing that needs another thread, and exits without returning.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let code = i32::from(!child());
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            matches!(waitpid(child, None).unwrap(), WaitStatus::Exited(_, 0))
        }
    }
}

#[test]
fn unlink_in_forked_child_returns_forked() {
    with_each_backing("unlink-forked", |name| {
        let mut exclusive = Some(ExclusiveRing::lock(name).unwrap());
        let is_refused = is_true_in_forked_child(|| {
            let unlinked = exclusive.take().map(ExclusiveRing::unlink);
            matches!(unlinked, Some(Err(UnlinkError::Forked(_))))
        });
        assert!(is_refused, "{name}: the child did not return Forked");
        assert!(
            !Observer::open(name).unwrap().snapshot().unwrap().is_closed,
            "{name}: the child closed the ring"
        );
    });
}

#[test]
fn drop_in_forked_child_releases_no_lock() {
    with_each_backing("drop-forked", |name| {
        let mut exclusive = Some(ExclusiveRing::lock(name).unwrap());
        assert!(is_true_in_forked_child(|| exclusive.take().is_some()));
        let again = ExclusiveRing::lock(name);
        assert!(
            matches!(
                again,
                Err(ExclusiveError::Recovering(_) | ExclusiveError::InUse { .. })
            ),
            "{name}: found {again:?}, expected that the ring is locked"
        );
        drop(exclusive);
        let unlocked = ExclusiveRing::lock(name);
        assert!(unlocked.is_ok(), "{name}: found {unlocked:?}");
    });
}
