//! A producer or consumer. It may be killed at any instruction; the log shows its progress.

use super::log::{Log, Total};
use super::{log_name, ring_name};
use crate::stream::{number, write};
use crate::{Options, Result};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use slipring::error::{Disconnected, PopError, PushError};
use slipring::mpmc::Ring;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use std::time::Duration;

/// Wait for the replacement of a killed process.
const PAUSE: Duration = Duration::from_millis(1);

/// Pushes the rest of one producer's share of the numbers.
pub(crate) fn produce(options: &Options, prefix: &str) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    let log = Log::open(&log_name(prefix), options.producers, options.messages)?;
    let share = share(options, options.index);
    let done = log.resume(options.index, share.start);
    let mut producer = Ring::<[u8]>::open(ring_name(prefix))?.producer()?;
    let mut message = vec![0; options.bytes as usize];
    for number in share.start + done..share.end {
        write(&mut message, number);
        log.begin(options.index);
        loop {
            match producer.push(&message) {
                Ok(()) => break,
                Err(PushError::Disconnected(Disconnected::Died { .. })) => thread::sleep(PAUSE),
                Err(error) => return Err(error.into()),
            }
        }
        log.done(options.index);
    }
    Ok(())
}

/// Receives and records messages until every producer has finished and the ring is empty.
pub(crate) fn consume(options: &Options, prefix: &str) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    let log = Log::open(&log_name(prefix), options.producers, options.messages)?;
    let mut consumer = Ring::<[u8]>::open(ring_name(prefix))?.consumer()?;
    let mut next: Vec<_> = (0..options.producers)
        .map(|producer| share(options, producer).start)
        .collect();
    let mut expected = vec![0; options.bytes as usize];
    let mut message = Vec::with_capacity(options.bytes as usize);
    loop {
        let is_over = log.total(Total::Over).load(Acquire) != 0;
        let guard = match consumer.read() {
            Ok(guard) => guard,
            Err(PopError::Disconnected(Disconnected::Left | Disconnected::Died { .. })) => {
                if is_over {
                    return Ok(());
                }
                thread::sleep(PAUSE);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        guard.get_into(&mut message);
        let number = number(&message);
        write(&mut expected, number);
        if message != expected {
            log.total(Total::Damaged).fetch_add(1, Release);
        }
        let is_redelivered = guard.is_redelivered();
        if !is_redelivered {
            let producer = owner(options, number);
            if number < next[producer] {
                log.total(Total::Disordered).fetch_add(1, Release);
            }
            next[producer] = number + 1;
        }
        log.receive(number, is_redelivered);
        drop(guard);
    }
}

/// The numbers of one producer.
fn share(options: &Options, producer: u64) -> std::ops::Range<u64> {
    let first = |producer| options.messages * producer / options.producers;
    first(producer)..first(producer + 1)
}

fn owner(options: &Options, number: u64) -> usize {
    let is_owner = |&producer: &u64| share(options, producer).contains(&number);
    (0..options.producers).find(is_owner).unwrap_or(0) as usize
}
