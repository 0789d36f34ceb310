//! One of two programs that share a ring without a name: squares the numbers of `foreman`, which
//! starts it and hands it the rings over a Unix socket, its standard input.

use slipring::spsc::Ring;
use std::error::Error;
use std::io::stdin;

fn main() -> Result<(), Box<dyn Error>> {
    let socket = stdin();
    // Sealed, or they are not accepted: whoever sent them can't cut them short.
    let tasks = Ring::<u64>::receive(&socket)?;
    let results = Ring::<[u64; 2]>::receive(&socket)?;
    let mut results = results.producer()?;
    for number in tasks.consumer()?.iter() {
        results.push(&[number, number * number])?;
    }
    Ok(())
}
