//! Sends a file as messages.

use crate::processes::{Names, Subprocess, prefix};
use crate::{Options, Result, Role};
use slipring::error::{Disconnected, PopError};
use slipring::spsc::Ring;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

pub(crate) fn run(options: &Options, input: &Path, output: &Path) -> Result<bool> {
    let mut names = Names::default();
    let prefix = prefix("-file");
    let name = names.keep(ring_name(&prefix));
    let _ring = Ring::<[u8]>::create_bytes(&name, options.capacity, options.bytes as usize)?;
    let receiver = Subprocess::start(options, Role::Receiver, &prefix, &mut names)?;
    let sender = Subprocess::start(options, Role::Sender, &prefix, &mut names)?;
    let start = Instant::now();
    sender.finish()?;
    receiver.finish()?;
    let (sent, seconds) = (input.metadata()?.len(), start.elapsed().as_secs_f64());
    println!(
        "{sent} bytes in {seconds:.2} s: {} -> {}",
        input.display(),
        output.display()
    );
    Ok(true)
}

pub(crate) fn send(prefix: &str, input: &Path) -> Result<()> {
    let ring = Ring::<[u8]>::open(ring_name(prefix))?;
    let mut producer = ring.producer()?;
    let mut file = File::open(input)?;
    let mut chunk = vec![0; ring.message_size()];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        producer.push(&chunk[..read])?;
    }
}

pub(crate) fn receive(prefix: &str, output: &Path) -> Result<()> {
    let mut consumer = Ring::<[u8]>::open(ring_name(prefix))?.consumer()?;
    let mut file = BufWriter::new(File::create(output)?);
    let mut chunk = Vec::new();
    loop {
        match consumer.pop_into(&mut chunk) {
            Ok(()) => file.write_all(&chunk)?,
            Err(PopError::Disconnected(Disconnected::Left)) => break,
            Err(error) => return Err(error.into()),
        }
    }
    file.flush()?;
    Ok(())
}

fn ring_name(prefix: &str) -> String {
    format!("{prefix}-ring")
}
