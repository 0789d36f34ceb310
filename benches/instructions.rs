//! The number of instructions of a push and a pop, counted by valgrind.
//!
//! The number does not depend on capacity, seats or fill. Two runs of different length are
//! subtracted, so that setup and teardown do not count.

use slipring::{Consumer, Mpmc, Options, Producer, Protocol, Ring, Spsc, unlink};
use std::env;
use std::error::Error;
use std::process::Command;

const MESSAGES: u64 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if let [kind, words, capacity, seats, fill, messages] = &arguments[..] {
        let work = Work {
            capacity: capacity.parse()?,
            seats: seats.parse()?,
            fill: fill.parse()?,
            messages: messages.parse()?,
        };
        return match (kind.as_str(), words.as_str()) {
            ("spsc", "1") => work.run::<1, Spsc>(),
            ("spsc", _) => work.run::<7, Spsc>(),
            (_, "1") => work.run::<1, Mpmc>(),
            _ => work.run::<7, Mpmc>(),
        };
    }
    println!("instructions of one push and one pop together, in one process\n");
    println!("ring, message      capacity    seats   empty   half full   all but full");
    for (kind, words) in [("spsc", 1), ("spsc", 7), ("mpmc", 1), ("mpmc", 7)] {
        for (capacity, seats) in [(64, 1), (1024, 1), (1024, 64), (1024, 4096), (65536, 1)] {
            if kind == "spsc" && seats > 1 {
                continue;
            }
            let mut counts = Vec::new();
            for fill in [0, capacity / 2, capacity - 1] {
                let shape = [capacity, seats, fill];
                let short = count(kind, words, shape, MESSAGES)?;
                let long = count(kind, words, shape, 2 * MESSAGES)?;
                counts.push((long - short) as f64 / MESSAGES as f64);
            }
            let bytes = 8 * words;
            let [empty, half, full] = counts[..] else {
                unreachable!("three fills were counted");
            };
            println!(
                "{kind}, {bytes:2} B {capacity:17} {seats:8} {empty:7.1} {half:11.1} {full:14.1}"
            );
        }
    }
    Ok(())
}

fn count(kind: &str, words: u64, shape: [u64; 3], messages: u64) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([kind, &words.to_string()])
        .args(shape.map(|number| number.to_string()))
        .arg(messages.to_string())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let report = String::from_utf8(output.stderr)?;
    let collected = report
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, collected) = collected.ok_or_else(|| report.clone())?;
    Ok(collected.trim().parse()?)
}

struct Work {
    capacity: usize,
    seats: u32,
    fill: usize,
    messages: u64,
}

impl Work {
    fn run<const WORDS: usize, P: Protocol>(&self) -> Result<(), Box<dyn Error>>
    where
        [u64; WORDS]: bytemuck::Pod,
    {
        let name = format!("/slipring-instructions-{}", std::process::id());
        let mut options = Options::new().capacity(self.capacity);
        if self.seats > 1 {
            options = options.producers(self.seats).consumers(self.seats);
        }
        let ring = Ring::<[u64; WORDS], P>::create_with(&name, &options)?;
        unlink(&name)?;
        let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
        for _ in 0..self.fill {
            producer.try_push(&[0; WORDS])?;
        }
        pass(&mut producer, &mut consumer, self.messages)
    }
}

#[inline(never)]
fn pass<const WORDS: usize, P: Protocol>(
    producer: &mut Producer<[u64; WORDS], P>,
    consumer: &mut Consumer<[u64; WORDS], P>,
    messages: u64,
) -> Result<(), Box<dyn Error>>
where
    [u64; WORDS]: bytemuck::Pod,
{
    let mut sum = 0;
    for number in 0..messages {
        producer.try_push(&[number; WORDS])?;
        sum += consumer.try_pop()?[0];
    }
    std::hint::black_box(sum);
    Ok(())
}
