//! The other of two programs for two terminals: prints what `producer` sends. Either may be
//! started first, killed and started again. Ctrl-C in either ends both, whatever they are
//! blocked in.

use nix::sys::signal::{SigSet, Signal};
use slipring::error::{Disconnected, PopError};
use slipring::spsc::Ring;
use std::error::Error;
use std::thread;
use std::time::Duration;

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

    let mut consumer = ring.consumer()?;
    println!("waiting for messages; Ctrl-C ends it");
    let ended = loop {
        match consumer.pop() {
            Ok(message) => println!("{}", String::from_utf8_lossy(&message)),
            Err(PopError::Disconnected(Disconnected::Closed)) => break Ok(()),
            Err(PopError::Disconnected(gone)) => {
                println!("{gone}; waiting for the next one");
                thread::sleep(Duration::from_secs(1));
            }
            Err(error) => break Err(error),
        }
    };
    // The other side may have been faster.
    let _ = slipring::unlink("/slipring-terminals");
    println!("closed");
    Ok(ended?)
}
