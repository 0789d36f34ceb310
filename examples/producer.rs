//! One of two programs for two terminals: sends the time to `consumer`, twice a second.
//! Ctrl-C in either ends both, whatever they are blocked in.

use nix::sys::signal::{SigSet, Signal};
use slipring::error::{Disconnected, PushError};
use slipring::spsc::Ring;
use std::error::Error;
use std::thread;
use std::time::{Duration, SystemTime};

fn main() -> Result<(), Box<dyn Error>> {
    // Blocked before the first thread starts, so that only the thread below takes it.
    let ctrl_c = SigSet::from(Signal::SIGINT);
    ctrl_c.thread_block()?;

    let ring = Ring::<[u8]>::open_or_create("/slipring-terminals", 4, 64)?;
    let closer = ring.clone();
    thread::spawn(move || {
        if ctrl_c.wait().is_ok() {
            closer.close();
        }
    });

    let mut producer = ring.producer()?;
    println!("a ring of {}; Ctrl-C ends it", ring.capacity());
    let ended = loop {
        let time = SystemTime::UNIX_EPOCH.elapsed()?.as_millis();
        // With no consumer the ring fills up, and then this waits for one.
        match producer.push(format!("{time} ms since 1970").as_bytes()) {
            Ok(()) => println!("sent {time}, {} in the ring", producer.len()),
            Err(PushError::Disconnected(Disconnected::Closed)) => break Ok(()),
            Err(PushError::Disconnected(gone)) => println!("{gone}; the ring is full"),
            Err(error) => break Err(error),
        }
        thread::sleep(Duration::from_millis(500));
    };
    // The other side may have been faster.
    let _ = slipring::unlink("/slipring-terminals");
    println!("closed");
    Ok(ended?)
}
