//! Squares the numbers of the example `parent`, which starts this program.
//!
//! The two rings have no name. They arrive over a Unix socket, the standard input.

use slipring::spsc::Ring;
use std::error::Error;
use std::io::stdin;

fn main() -> Result<(), Box<dyn Error>> {
    let socket = stdin();
    // `receive` accepts only sealed rings, which the sender cannot truncate.
    let tasks = Ring::<u64>::receive(&socket)?;
    let results = Ring::<[u64; 2]>::receive(&socket)?;
    let mut results = results.producer()?;
    for number in tasks.consumer()?.iter() {
        results.push(&[number, number * number])?;
    }
    Ok(())
}
