//! Signals: ending in good order, and by what others expect to see.

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use std::process;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The signal that asked this process to end; 0 if none has.
static ASKED_BY: AtomicI32 = AtomicI32::new(0);

/// The signals by which a user, a service manager or a closed terminal ends a program.
const ENDINGS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Has the next write to a closed pipe end the process without a word, as it does others.
pub(crate) fn die_of_broken_pipes() {
    set(Signal::SIGPIPE, SigHandler::SigDfl);
}

/// From here on a request to end interrupts what waits, and has to be [asked for](received).
pub(crate) fn heed_endings() {
    for signal in ENDINGS {
        set(signal, SigHandler::Handler(on_ending));
    }
    set(Signal::SIGALRM, SigHandler::Handler(on_alarm));
}

/// What asked this process to end.
pub(crate) fn received() -> Option<Signal> {
    Signal::try_from(ASKED_BY.load(Relaxed)).ok()
}

/// Ends the process as the signal does by itself.
pub(crate) fn die_of(signal: Signal) -> ! {
    set(signal, SigHandler::SigDfl);
    let _ = raise(signal);
    process::exit(128 + signal as i32)
}

fn set(signal: Signal, handler: SigHandler) {
    // Without SA_RESTART, so that reads and writes that wait end.
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handlers store to an atomic and call alarm(2), both of which handlers may do.
    let set = unsafe { sigaction(signal, &action) };
    debug_assert!(set.is_ok());
}

extern "C" fn on_ending(signal: i32) {
    ASKED_BY.store(signal, Relaxed);
    ring_again();
}

extern "C" fn on_alarm(_signal: i32) {
    ring_again();
}

/// A signal that comes just before a read begins does not interrupt it: the next one does.
fn ring_again() {
    const SECOND: u32 = 1;
    // SAFETY: takes a number.
    unsafe { libc::alarm(SECOND) };
}
