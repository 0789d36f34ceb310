//! Signals that end the process: orderly, and with the status that the parent expects.

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use std::process;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The termination signal that this process received, or 0.
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// Sent by a user, a service manager or a closed terminal.
const TERMINATION: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Restores the default action: a write to a closed pipe ends the process without a message.
pub(crate) fn reset_broken_pipe() {
    set(Signal::SIGPIPE, SigHandler::SigDfl);
}

/// From here on a termination signal interrupts blocking calls. The caller must poll [`received`].
pub(crate) fn catch_termination() {
    for signal in TERMINATION {
        set(signal, SigHandler::Handler(on_termination));
    }
    set(Signal::SIGALRM, SigHandler::Handler(on_alarm));
}

/// The termination signal that this process received.
pub(crate) fn received() -> Option<Signal> {
    Signal::try_from(RECEIVED.load(Relaxed)).ok()
}

/// Ends the process by the default action of the signal.
pub(crate) fn end_by(signal: Signal) -> ! {
    set(signal, SigHandler::SigDfl);
    let _ = raise(signal);
    process::exit(128 + signal as i32)
}

fn set(signal: Signal, handler: SigHandler) {
    // Without SA_RESTART, so that the signal interrupts blocking reads and writes.
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handlers store to an atomic and call alarm(2). Both are async-signal-safe.
    let set = unsafe { sigaction(signal, &action) };
    debug_assert!(set.is_ok());
}

extern "C" fn on_termination(signal: i32) {
    RECEIVED.store(signal, Relaxed);
    schedule_alarm();
}

extern "C" fn on_alarm(_signal: i32) {
    schedule_alarm();
}

/// Schedules another signal. One that arrives just before a read begins does not interrupt the
/// read.
fn schedule_alarm() {
    const SECOND: u32 = 1;
    // SAFETY: the call takes a number and no pointer.
    unsafe { libc::alarm(SECOND) };
}
