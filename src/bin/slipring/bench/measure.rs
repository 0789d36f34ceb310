//! The measurements.

use super::peer::{self, Peer};
use super::processors::{Processors, Side};
use super::times::Times;
use super::{Outcome, TIME};
use slipring::error::Forked;
use slipring::{Options, WaitStrategy, spsc};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::thread;
use std::time::{Duration, Instant};

const CAPACITY: usize = 1024;
/// The word that ends the other side.
const END: u64 = u64::MAX;

type Ring = spsc::Ring<u64>;

/// Two processes exchange two words without a protocol: the lower bound of a round trip.
pub(super) fn floor(processors: &Processors) -> Outcome<Times> {
    let [there, back] = peer::shared_words()?;
    let await_word = |word: &AtomicU64, turn: u64| {
        while word.load(Acquire) < turn {
            spin_loop();
        }
    };
    let peer = Peer::start(|| {
        processors.pin(Side::There);
        for turn in 1.. {
            await_word(there, turn);
            if there.load(Acquire) == END {
                break;
            }
            back.store(turn, Release);
        }
        Ok(())
    })?;
    let mut turn = 0;
    let times = Times::of(|| {
        turn += 1;
        there.store(turn, Release);
        await_word(back, turn);
    })?;
    there.store(END, Release);
    peer.finish()?;
    Ok(times)
}

pub(super) fn round_trips(processors: &Processors) -> Outcome<Times> {
    let [there, back] = [ring(WaitStrategy::Spin)?, ring(WaitStrategy::Spin)?];
    let (mut to, mut from) = (there.producer()?, back.consumer()?);
    let mut peer = Peer::start(|| {
        processors.pin(Side::There);
        let mut to = back.reopen()?.producer()?;
        let mut from = there.reopen()?.consumer()?;
        while let Ok(number) = from.pop() {
            to.push(&number)?;
        }
        Ok(())
    })?;
    peer.await_attached(|| is_attached(to.peer()))?;
    let times = Times::of(|| {
        let _ = to.push(&1);
        let _ = from.pop();
    })?;
    drop(to);
    peer.finish()?;
    Ok(times)
}

/// The average time per message, for each of many runs.
pub(super) fn streams(processors: &Processors) -> Outcome<Times> {
    const RUN: u64 = 10_000;
    let ring = ring(WaitStrategy::Spin)?;
    let mut producer = ring.producer()?;
    let mut peer = Peer::start(|| {
        processors.pin(Side::There);
        let mut consumer = ring.reopen()?.consumer()?;
        while consumer.pop().is_ok() {}
        Ok(())
    })?;
    peer.await_attached(|| is_attached(producer.peer()))?;
    let mut times = Times::new()?;
    let begin = Instant::now();
    while begin.elapsed() < TIME {
        let start = Instant::now();
        for number in 0..RUN {
            producer.push(&number)?;
        }
        times.record(start.elapsed().as_nanos() as f64 / RUN as f64);
    }
    drop(producer);
    peer.finish()?;
    Ok(times)
}

/// From the start of a push to the return of a pop that slept.
pub(super) fn wakes(processors: &Processors) -> Outcome<Times> {
    /// Long enough for the consumer to fall asleep.
    const PAUSE: Duration = Duration::from_millis(2);
    const _: () = assert!(TIME.as_millis() / PAUSE.as_millis() <= CAPACITY as u128);
    let immediately = WaitStrategy::Sleep {
        spins: 0,
        yields: 0,
    };
    let [there, back] = [ring(immediately)?, ring(immediately)?];
    let (mut to, mut from) = (there.producer()?, back.consumer()?);
    let clock = Instant::now();
    let now = || clock.elapsed().as_nanos() as u64;
    let mut peer = Peer::start(|| {
        processors.pin(Side::There);
        let mut measured = back.reopen()?.producer()?;
        let mut from = there.reopen()?.consumer()?;
        while let Ok(sent) = from.pop() {
            measured.push(&now().saturating_sub(sent))?;
        }
        Ok(())
    })?;
    peer.await_attached(|| is_attached(to.peer()))?;
    while clock.elapsed() < TIME {
        thread::sleep(PAUSE);
        to.push(&now())?;
    }
    drop(to);
    peer.finish()?;
    let mut times = Times::new()?;
    while let Ok(time) = from.pop() {
        times.record(time as f64);
    }
    Ok(times)
}

fn is_attached(peer: Result<slipring::Peer, Forked>) -> bool {
    matches!(peer, Ok(slipring::Peer::Present { .. }))
}

fn ring(wait: WaitStrategy) -> Outcome<Ring> {
    let options = Options::new().capacity(CAPACITY).wait(wait);
    Ok(Ring::create_with("memfd:", &options)?)
}
