//! What a ring that grows costs those who use it: a producer pushes the time each 50 microseconds, a consumer takes it
//! at once, and a third process makes the ring of 64 MiB smaller and larger again.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use slipring::{Options, Protocol, Ring, WaitStrategy, unlink};
use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, process, thread};

type Failure = Box<dyn Error>;

/// Of 16 bytes each.
const LARGE: usize = 4 << 20;
const SMALL: usize = 1 << 16;
const GROWTHS: usize = 20;
const PERIOD: Duration = Duration::from_micros(50);
const PAUSE: Duration = Duration::from_millis(200);

fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

fn main() -> Result<(), Failure> {
    match env::args().nth(1).as_deref() {
        Some("spsc") => take_part::<slipring::Spsc>(),
        Some("mpmc") => take_part::<slipring::Mpmc>(),
        _ => {
            println!(
                "{:<30} {:<27} | {:<27} |",
                "the longest pauses, ms", "of the producer, up to 10", "of the consumer, up to 10"
            );
            measure::<slipring::Spsc>("spsc")?;
            measure::<slipring::Mpmc>("mpmc")
        }
    }
}

fn options() -> Options {
    Options::new().capacity(LARGE).wait(WaitStrategy::Sleep {
        spins: 0,
        yields: 0,
    })
}

/// As one of the two ends: tells the time and the length of each operation that took long, until the ring is closed.
fn take_part<P: Protocol>() -> Result<(), Failure> {
    let (role, name) = (env::args().nth(2), env::args().nth(3).unwrap_or_default());
    let ring = Ring::<u64, P>::open_with(&name, &options().capacity(LARGE))?;
    let mut cpu = CpuSet::new();
    cpu.set(usize::from(role.as_deref() == Some("consumer")))?;
    sched_setaffinity(Pid::from_raw(0), &cpu)?;
    if role.as_deref() == Some("consumer") {
        let mut consumer = ring.consumer()?;
        while let Ok(pushed_at) = consumer.pop() {
            tell(pushed_at, now());
        }
        return Ok(());
    }
    let mut producer = ring.producer()?;
    loop {
        let start = now();
        if producer.push(&start).is_err() {
            return Ok(());
        }
        tell(start, now());
        thread::sleep(PERIOD);
    }
}

fn tell(start: u64, end: u64) {
    const LONG: u64 = 100_000;
    if end - start > LONG {
        println!("{start} {end}");
    }
}

fn end_of(kind: &str, role: &str, name: &str) -> Result<Child, Failure> {
    let mut command = Command::new("chrt");
    let this = env::current_exe()?;
    command
        .args(["-f", "10"])
        .arg(this)
        .args([kind, role, name]);
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

/// The operations of an end that took long, by when they began and ended. They are read as they are told, or
/// the end would wait for that.
fn pauses(mut end: Child) -> io::Result<Vec<(u64, u64)>> {
    let told = end.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let parse = |line: String| {
        let (start, end) = line.split_once(' ')?;
        Some((start.parse().ok()?, end.parse().ok()?))
    };
    let lines = BufReader::new(told).lines().map_while(Result::ok);
    let pauses = lines.filter_map(parse).collect();
    end.wait()?;
    Ok(pauses)
}

fn measure<P: Protocol>(kind: &str) -> Result<(), Failure> {
    let name = &format!("/slipring-growing-{}", process::id());
    let ring = Ring::<u64, P>::create_with(name, &options())?;
    let done = grow_under_load(&ring, kind, name);
    unlink(name)?;
    done
}

fn grow_under_load<P: Protocol>(
    ring: &Ring<u64, P>,
    kind: &str,
    name: &str,
) -> Result<(), Failure> {
    let ends = [
        end_of(kind, "producer", name)?,
        end_of(kind, "consumer", name)?,
    ]
    .map(|end| thread::spawn(|| pauses(end)));
    thread::sleep(PAUSE);
    let mut growths = Vec::new();
    for round in 0..GROWTHS {
        thread::sleep(PAUSE);
        let start = now();
        ring.grow([SMALL, LARGE][round % 2])?;
        // What follows, mapping and going on, is not over with the call.
        growths.push((start, now()));
    }
    thread::sleep(PAUSE);
    ring.close();
    let [producer, consumer] = ends.map(|told| told.join());
    let producer = producer.map_err(|_| "the producer's reader")??;
    let consumer = consumer.map_err(|_| "the consumer's reader")??;
    let longest = |pauses: &[(u64, u64)], is_meant: &dyn Fn(u64) -> bool| {
        let meant = pauses.iter().filter(|(start, _)| is_meant(*start));
        meant.map(|(start, end)| end - start).max().unwrap_or(0) / 1000
    };
    let after = PAUSE.as_nanos() as u64 / 2;
    for (round, (start, end)) in growths.iter().enumerate().skip(1).step_by(2) {
        let during = |at: u64| (start - 1_000_000..end + after).contains(&at);
        show(
            &format!(
                "{kind} {:2}, the call took {:4} ms",
                round / 2 + 1,
                (end - start) / 1_000_000
            ),
            [longest(&producer, &during), longest(&consumer, &during)],
        );
    }
    let calm = |at: u64| {
        !growths
            .iter()
            .any(|(start, end)| (start - 1_000_000..end + after).contains(&at))
    };
    show(
        &format!("{kind}, no growth"),
        [longest(&producer, &calm), longest(&consumer, &calm)],
    );
    Ok(())
}

/// The longest pauses of the producer and of the consumer, in microseconds, with a stroke for each half millisecond.
fn show(what: &str, pauses: [u64; 2]) {
    let [producer, consumer] = pauses.map(|pause| {
        let strokes = "▒".repeat(pause.div_ceil(500) as usize);
        format!("{:6.2} {strokes:<20}", pause as f64 / 1000.0)
    });
    println!("{what:<30} {producer} | {consumer} |");
}
