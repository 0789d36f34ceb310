//! The pauses that growth causes to producers and consumers.
//!
//! A producer pushes the time every 50 microseconds, and a consumer pops it at once. A third
//! process shrinks the ring of 64 MiB and grows it again.

use bench_support::{now, run_on};
use slipring::{Options, Protocol, Ring, WaitStrategy, unlink};
use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, process, thread};

type Failure = Box<dyn Error>;

/// Capacities, in slots of 16 bytes.
const LARGE: usize = 4 << 20;
const SMALL: usize = 1 << 16;
const GROWTHS: usize = 20;
const PERIOD: Duration = Duration::from_micros(50);
const PAUSE: Duration = Duration::from_millis(200);

fn main() -> Result<(), Failure> {
    match env::args().nth(1).as_deref() {
        Some("spsc") => run_endpoint::<slipring::Spsc>(),
        Some("mpmc") => run_endpoint::<slipring::Mpmc>(),
        _ => {
            println!(
                "{:<30} {:<27} | {:<27} |",
                "longest pauses, ms", "producer, up to 10", "consumer, up to 10"
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

/// Runs one endpoint until the ring is closed, and prints start and end of each long operation.
fn run_endpoint<P: Protocol>() -> Result<(), Failure> {
    let (role, name) = (env::args().nth(2), env::args().nth(3).unwrap_or_default());
    let ring = Ring::<u64, P>::open_with(&name, &options().capacity(LARGE))?;
    run_on(usize::from(role.as_deref() == Some("consumer")))?;
    if role.as_deref() == Some("consumer") {
        let mut consumer = ring.consumer()?;
        while let Ok(pushed_at) = consumer.pop() {
            report(pushed_at, now());
        }
        return Ok(());
    }
    let mut producer = ring.producer()?;
    loop {
        let start = now();
        if producer.push(&start).is_err() {
            return Ok(());
        }
        report(start, now());
        thread::sleep(PERIOD);
    }
}

fn report(start: u64, end: u64) {
    const LONG: u64 = 100_000;
    if end - start > LONG {
        println!("{start} {end}");
    }
}

fn start_endpoint(kind: &str, role: &str, name: &str) -> Result<Child, Failure> {
    let mut command = Command::new("chrt");
    let this = env::current_exe()?;
    command
        .args(["-f", "10"])
        .arg(this)
        .args([kind, role, name]);
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

/// Reads start and end of each long operation of an endpoint. They are read at once, because a full
/// pipe would block the endpoint.
fn pauses(mut endpoint: Child) -> io::Result<Vec<(u64, u64)>> {
    let output = endpoint.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let parse = |line: String| {
        let (start, end) = line.split_once(' ')?;
        Some((start.parse().ok()?, end.parse().ok()?))
    };
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    let pauses = lines.filter_map(parse).collect();
    endpoint.wait()?;
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
    let endpoints = [
        start_endpoint(kind, "producer", name)?,
        start_endpoint(kind, "consumer", name)?,
    ]
    .map(|endpoint| thread::spawn(|| pauses(endpoint)));
    thread::sleep(PAUSE);
    let mut growths = Vec::new();
    for round in 0..GROWTHS {
        thread::sleep(PAUSE);
        let start = now();
        ring.grow([SMALL, LARGE][round % 2])?;
        // The endpoints still have to map the new segment after the call.
        growths.push((start, now()));
    }
    thread::sleep(PAUSE);
    ring.close();
    let [producer, consumer] = endpoints.map(|reader| reader.join());
    let producer = producer.map_err(|_| "the reader of the producer's output panicked")??;
    let consumer = consumer.map_err(|_| "the reader of the consumer's output panicked")??;
    let longest = |pauses: &[(u64, u64)], is_selected: &dyn Fn(u64) -> bool| {
        let selected = pauses.iter().filter(|(start, _)| is_selected(*start));
        selected.map(|(start, end)| end - start).max().unwrap_or(0) / 1000
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

/// Prints the longest pauses of producer and consumer, given in microseconds, with a bar of one
/// character per half millisecond.
fn show(label: &str, pauses: [u64; 2]) {
    let [producer, consumer] = pauses.map(|pause| {
        let strokes = "▒".repeat(pause.div_ceil(500) as usize);
        format!("{:6.2} {strokes:<20}", pause as f64 / 1000.0)
    });
    println!("{label:<30} {producer} | {consumer} |");
}
