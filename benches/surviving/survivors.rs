//! The processes of a stall: two that survive, and those that are killed in their way.

use crate::Result;
use common::{Line, Shared, now, share};
use slipring::{Options, mpmc};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::Duration;

/// What one survivor has done.
#[repr(C)]
pub(crate) struct Deeds {
    pub(crate) count: Line<AtomicU64>,
    pub(crate) sum: Line<AtomicU64>,
    /// Whether the next deed's time is wanted.
    pub(crate) is_awaited: Line<AtomicU64>,
    /// That time.
    pub(crate) at: Line<AtomicU64>,
}

#[repr(C)]
pub(crate) struct Scene {
    pub(crate) pushes: Deeds,
    pub(crate) pops: Deeds,
    /// The victim that is in the way.
    pub(crate) ready: Line<AtomicU64>,
    pub(crate) is_over: Line<AtomicU64>,
}

// SAFETY: all of it is atomic, and zero is a value.
unsafe impl Shared for Scene {}

impl Deeds {
    #[inline(always)]
    fn note(&self, number: u64) {
        // One process writes them.
        let (count, sum) = (self.count.0.load(Relaxed), self.sum.0.load(Relaxed));
        self.sum.0.store(sum + number, Relaxed);
        self.count.0.store(count + 1, Release);
        if self.is_awaited.0.load(Acquire) == 1 {
            self.at.0.store(now(), Relaxed);
            self.is_awaited.0.store(0, Release);
        }
    }
}

pub(crate) fn names(prefix: &str) -> [String; 2] {
    ["ring", "scene"].map(|what| format!("{prefix}-{what}"))
}

const LAST: u64 = u64::MAX;

fn open(prefix: &str) -> Result<(mpmc::Ring<u64>, &'static Scene)> {
    let [ring, scene] = names(prefix);
    let options = Options::new().prefault(true);
    Ok((mpmc::Ring::open_with(&ring, &options)?, share(&scene)?))
}

pub(crate) fn push(prefix: &str) -> Result<()> {
    let (ring, scene) = open(prefix)?;
    let mut producer = ring.producer()?;
    for number in 0.. {
        if scene.is_over.0.load(Relaxed) == 1 {
            break;
        }
        producer.push(&number)?;
        scene.pushes.note(number);
    }
    Ok(producer.push(&LAST)?)
}

pub(crate) fn pop(prefix: &str) -> Result<()> {
    let (ring, scene) = open(prefix)?;
    let mut consumer = ring.consumer()?;
    loop {
        match consumer.pop()? {
            LAST => return Ok(()),
            number => scene.pops.note(number),
        }
    }
}

pub(crate) fn claim(prefix: &str) -> Result<()> {
    let (ring, scene) = open(prefix)?;
    let mut producer = ring.producer()?;
    let _claim = producer.claim()?;
    await_death(scene)
}

pub(crate) fn read(prefix: &str) -> Result<()> {
    let (ring, scene) = open(prefix)?;
    let mut consumer = ring.consumer()?;
    let _guard = consumer.read()?;
    await_death(scene)
}

fn await_death(scene: &Scene) -> Result<()> {
    scene.ready.0.store(std::process::id().into(), Release);
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
