//! Sends the time twice a second to the example `consumer`, which runs in another terminal.
//!
//! Ctrl-C in one program ends both, even while they are blocked.

use nix::sys::signal::{SigSet, Signal};
use slipring::error::{Disconnected, PushError};
use slipring::spsc::Ring;
use std::error::Error;
use std::thread;
use std::time::{Duration, SystemTime};

fn main() -> Result<(), Box<dyn Error>> {
    // Blocked in all threads, so that only the thread below receives it.
    let ctrl_c = SigSet::from(Signal::SIGINT);
    ctrl_c.thread_block()?;

    let ring = Ring::<[u8]>::open_or_create_bytes("/slipring-terminals", 4, 64)?;
    let closer = ring.clone();
    thread::spawn(move || {
        if ctrl_c.wait().is_ok() {
            closer.close();
        }
    });

    let mut producer = ring.producer()?;
    println!("a ring of {} slots; press Ctrl-C to stop", ring.capacity());
    let result = loop {
        let time = SystemTime::UNIX_EPOCH.elapsed()?.as_millis();
        // Without a consumer the ring fills up, and then this call blocks.
        match producer.push(format!("{time} ms since 1970").as_bytes()) {
            Ok(()) => println!("sent {time}; {} in the ring", producer.len()),
            Err(PushError::Disconnected(Disconnected::Closed)) => break Ok(()),
            Err(PushError::Disconnected(reason)) => println!("{reason}; the ring is full"),
            Err(error) => break Err(error),
        }
        thread::sleep(Duration::from_millis(500));
    };
    // The consumer may already have unlinked it.
    let _ = slipring::unlink("/slipring-terminals");
    println!("closed");
    Ok(result?)
}
