//! A file, byte for byte, as messages.

use crate::processes::{Names, Partner, prefix};
use crate::{Options, Part, Result};
use slipring::error::{Disconnected, PopError};
use slipring::spsc::Ring;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

pub(crate) fn conduct(options: &Options, input: &Path, output: &Path) -> Result<bool> {
    let mut names = Names::default();
    let prefix = prefix("-file");
    let name = names.keep(ring_name(&prefix));
    let _ring = Ring::<[u8]>::create(&name, options.capacity, options.bytes as usize)?;
    let receiver = Partner::start(options, Part::Receiver, &prefix, &mut names)?;
    let sender = Partner::start(options, Part::Sender, &prefix, &mut names)?;
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
    let ring = Ring::<[u8]>::open(&ring_name(prefix))?;
    let mut producer = ring.producer()?;
    let mut file = File::open(input)?;
    let mut piece = vec![0; ring.message_size()];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        producer.push(&piece[..read])?;
    }
}

pub(crate) fn receive(prefix: &str, output: &Path) -> Result<()> {
    let mut consumer = Ring::<[u8]>::open(&ring_name(prefix))?.consumer()?;
    let mut file = BufWriter::new(File::create(output)?);
    let mut piece = Vec::new();
    loop {
        match consumer.pop_into(&mut piece) {
            Ok(()) => file.write_all(&piece)?,
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
