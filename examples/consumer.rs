//! Prints the messages of the example `producer`, which runs in another terminal.
//!
//! Either program may start first, and may be killed and started again. Ctrl-C in one ends both,
//! even while they are blocked.

use nix::sys::signal::{SigSet, Signal};
use slipring::error::{Disconnected, PopError};
use slipring::spsc::Ring;
use std::error::Error;
use std::thread;
use std::time::Duration;

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

    let mut consumer = ring.consumer()?;
    println!("waiting for messages; press Ctrl-C to stop");
    let result = loop {
        match consumer.pop() {
            Ok(message) => println!("{}", String::from_utf8_lossy(&message)),
            Err(PopError::Disconnected(Disconnected::Closed)) => break Ok(()),
            Err(PopError::Disconnected(reason)) => {
                println!("{reason}; waiting for the next producer");
                thread::sleep(Duration::from_secs(1));
            }
            Err(error) => break Err(error),
        }
    };
    // The producer may already have unlinked it.
    let _ = slipring::unlink("/slipring-terminals");
    println!("closed");
    Ok(result?)
}
