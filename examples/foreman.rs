//! One of two programs that share a ring without a name: starts `worker`, hands it two rings over
//! a Unix socket, and has it square numbers. Nothing is left when both have ended, however they end.

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
        .map_err(|error| format!("worker: {error}; `cargo build --examples` makes it"))?;
    tasks.hand_over(&here)?;
    results.hand_over(&here)?;

    // If it ends before it has taken its place there is nobody whose end would be noticed.
    let closer = results.clone();
    let ended = thread::spawn(move || {
        let status = worker.wait();
        closer.close();
        status
    });

    let (mut tasks, mut results) = (tasks.producer()?, results.consumer()?);
    for number in 1..=10 {
        tasks.push(&number)?;
    }
    // The worker ends when it has done them and nobody is left to give it more.
    drop(tasks);
    let gone = loop {
        match results.pop() {
            Ok([number, square]) => println!("{number} squared is {square}"),
            Err(PopError::Disconnected(gone)) => break gone,
            Err(error) => return Err(error.into()),
        }
    };
    let status = ended.join().map_err(|_| "nobody waits for the worker")??;
    println!("{gone}: {status}");
    Ok(())
}
