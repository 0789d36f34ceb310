//! Streams messages one way, and checks every byte.

use crate::processes::{Names, Report, Subprocess, pin, prefix, reporter};
use crate::{Options, Result, Role};
use indicatif::{ProgressBar, ProgressStyle};
use slipring::error::{Disconnected, PopError};
use slipring::spsc::Ring;
use std::time::Instant;

/// Messages between two reports of progress.
const STEP: u64 = 1 << 18;

const PROGRESS: u64 = 0;
const RESULT: u64 = 1;

pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut names = Names::default();
    let prefix = prefix("-stream");
    let name = names.keep(ring_name(&prefix));
    let _ring = Ring::<[u8]>::create_bytes(&name, options.capacity, options.bytes as usize)?;
    let mut receiver = Subprocess::start(options, Role::Receiver, &prefix, &mut names)?;
    let sender = Subprocess::start(options, Role::Sender, &prefix, &mut names)?;

    let style = "{bar:40} {human_pos} of {human_len} messages, {per_sec}, {eta} left";
    let bar = ProgressBar::new(options.messages).with_style(ProgressStyle::with_template(style)?);
    let mut result = None;
    while let Some(Report { numbers }) = receiver.report()? {
        match numbers {
            [PROGRESS, received, ..] => bar.set_position(received),
            counts => result = Some(counts),
        }
    }
    bar.finish_and_clear();
    sender.finish()?;
    receiver.finish()?;

    let [RESULT, lost, duplicated, disordered, damaged, nanos] = result.ok_or("no result")? else {
        return Err("unknown report".into());
    };
    let seconds = nanos as f64 / 1e9;
    println!(
        "{} messages of {} bytes in {seconds:.2} s: {:.2} million messages a second",
        options.messages,
        options.bytes,
        options.messages as f64 / seconds / 1e6,
    );
    println!("lost {lost}, duplicated {duplicated}, out of order {disordered}");
    if damaged > 0 {
        println!("damaged {damaged}");
    }
    Ok([lost, duplicated, disordered, damaged] == [0; 4])
}

pub(crate) fn send(options: &Options, prefix: &str) -> Result<()> {
    pin(Role::Sender)?;
    let mut producer = Ring::<[u8]>::open(ring_name(prefix))?.producer()?;
    let mut message = vec![0; options.bytes as usize];
    for number in 0..options.messages {
        write(&mut message, number);
        producer.push(&message)?;
    }
    Ok(())
}

pub(crate) fn receive(options: &Options, prefix: &str) -> Result<()> {
    pin(Role::Receiver)?;
    let mut reports = reporter(Role::Receiver, prefix)?;
    let mut consumer = Ring::<[u8]>::open(ring_name(prefix))?.consumer()?;
    let mut received = Received::new(options.messages);
    let mut expected = vec![0; options.bytes as usize];
    let mut message = Vec::with_capacity(options.bytes as usize);
    let mut start = None;
    loop {
        match consumer.pop_into(&mut message) {
            Ok(()) => {}
            Err(PopError::Disconnected(Disconnected::Left)) => break,
            Err(error) => return Err(error.into()),
        }
        start.get_or_insert_with(Instant::now);
        let number = number(&message);
        write(&mut expected, number);
        received.note(number, message == expected);
        if received.received % STEP == 0 {
            // A lost report affects only the progress bar.
            let _ = reports.try_push(&Report {
                numbers: [PROGRESS, received.received, 0, 0, 0, 0],
            });
        }
    }
    let nanos = start.map_or(0, |start: Instant| start.elapsed().as_nanos() as u64);
    let numbers = [
        RESULT,
        received.lost(),
        received.duplicated,
        received.disordered,
        received.damaged,
        nanos,
    ];
    reports.push(&Report { numbers })?;
    Ok(())
}

fn ring_name(prefix: &str) -> String {
    format!("{prefix}-ring")
}

/// Writes the message of a number: the number, and then bytes computed from it.
pub(crate) fn write(message: &mut [u8], number: u64) {
    let (head, tail) = message.split_at_mut(8);
    head.copy_from_slice(&number.to_le_bytes());
    tail.fill(number as u8);
}

pub(crate) fn number(message: &[u8]) -> u64 {
    message
        .first_chunk()
        .map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
}

/// The messages received so far.
struct Received {
    bits: Vec<u64>,
    messages: u64,
    next: u64,
    received: u64,
    distinct: u64,
    duplicated: u64,
    disordered: u64,
    damaged: u64,
}

impl Received {
    fn new(messages: u64) -> Self {
        Self {
            bits: vec![0; messages.div_ceil(64) as usize],
            messages,
            next: 0,
            received: 0,
            distinct: 0,
            duplicated: 0,
            disordered: 0,
            damaged: 0,
        }
    }

    fn note(&mut self, number: u64, intact: bool) {
        self.received += 1;
        if !intact || number >= self.messages {
            self.damaged += 1;
            return;
        }
        let (word, bit) = (&mut self.bits[(number / 64) as usize], 1 << (number % 64));
        if *word & bit != 0 {
            self.duplicated += 1;
        } else if number < self.next {
            self.disordered += 1;
        }
        self.distinct += u64::from(*word & bit == 0);
        *word |= bit;
        self.next = self.next.max(number + 1);
    }

    fn lost(&self) -> u64 {
        self.messages - self.distinct
    }
}
