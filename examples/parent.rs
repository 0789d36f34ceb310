//! Starts the example `worker`, and sends it two rings without a name over a Unix socket.
//!
//! The worker squares numbers. Nothing remains after both programs have exited or were killed.

use slipring::error::PopError;
use slipring::spsc::Ring;
use std::env;
use std::error::Error;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

fn main() -> Result<(), Box<dyn Error>> {
    let tasks = Ring::<u64>::create("memfd:", 16)?;
    let results = Ring::<[u64; 2]>::create("memfd:", 16)?;
    let (here, there) = UnixStream::pair()?;
    let worker = env::current_exe()?.with_file_name("worker");
    let mut worker = Command::new(worker)
        .stdin(Stdio::from(OwnedFd::from(there)))
        .spawn()
        .map_err(|error| format!("worker: {error}; run `cargo build --examples` first"))?;
    tasks.hand_over(&here)?;
    results.hand_over(&here)?;

    // A worker that exits before it attaches is not noticed by the rings.
    let closer = results.clone();
    let exit = thread::spawn(move || {
        let status = worker.wait();
        closer.close();
        status
    });

    let (mut tasks, mut results) = (tasks.producer()?, results.consumer()?);
    for number in 1..=10 {
        tasks.push(&number)?;
    }
    // Without a producer, the worker exits after the last number.
    drop(tasks);
    let reason = loop {
        match results.pop() {
            Ok([number, square]) => println!("{number} squared is {square}"),
            Err(PopError::Disconnected(reason)) => break reason,
            Err(error) => return Err(error.into()),
        }
    };
    let status = exit.join().map_err(|_| "the waiting thread panicked")??;
    println!("{reason}: {status}");
    Ok(())
}
