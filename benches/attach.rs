//! The time to open a ring, to attach to it, and to recover it, by its number of seats. Medians, in
//! microseconds.

use bench_support::median;
use slipring::{Options, Ring, mpmc, recover, spsc, unlink};
use std::error::Error;
use std::time::Instant;

const CAPACITY: usize = 1024;
const TIMES: usize = 101;

fn micros<T, E>(operation: impl FnOnce() -> Result<T, E>) -> Result<(T, f64), E> {
    let start = Instant::now();
    let done = operation()?;
    Ok((done, start.elapsed().as_secs_f64() * 1e6))
}

fn main() -> Result<(), Box<dyn Error>> {
    let name = &format!("/slipring-attach-{}", std::process::id());
    let done = one_to_one(name).and_then(|()| many_to_many(name));
    // After a successful run the name is already unlinked.
    let _ = unlink(name);
    done
}

fn one_to_one(name: &str) -> Result<(), Box<dyn Error>> {
    let _ring = spsc::Ring::<u64>::create(name, CAPACITY)?;
    let (mut opening, mut attaching, mut first) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let (ring, time) = micros(|| spsc::Ring::<u64>::open(name))?;
        opening.push(time);
        let (mut producer, time) = micros(|| ring.producer())?;
        attaching.push(time);
        let mut consumer = ring.consumer()?;
        let start = Instant::now();
        producer.push(&1)?;
        consumer.pop()?;
        first.push(start.elapsed().as_secs_f64() * 1e6);
    }
    unlink(name)?;
    println!(
        "SPSC: opening {:.0}, attaching {:.0}, the first message {:.1}\n",
        median(opening),
        median(attaching),
        median(first)
    );
    Ok(())
}

fn many_to_many(name: &str) -> Result<(), Box<dyn Error>> {
    println!(
        "MPMC                 no other participant         all producers attached\n\
         seats per role       opening attaching recovery   attaching recovery"
    );
    for seats in [1, 16, 64, 256, 1024, 4096] {
        let options = Options::new()
            .capacity(CAPACITY)
            .producers(seats)
            .consumers(seats);
        let ring = mpmc::Ring::<u64>::create_with(name, &options)?;
        let [opening, attaching, recovering] = measure_with_free_seat(name)?;
        let mut producers = (1..seats)
            .map(|_| ring.producer())
            .collect::<Result<Vec<_>, _>>()?;
        let [_, last, among_all] = measure_with_free_seat(name)?;
        println!(
            "{seats:15} {opening:12.0} {attaching:9.0} {recovering:8.0} {last:11.0} {among_all:8.0}"
        );
        producers.clear();
        unlink(name)?;
    }
    Ok(())
}

/// The times to open, attach and recover, while one producer seat is free.
fn measure_with_free_seat(name: &str) -> Result<[f64; 3], Box<dyn Error>> {
    let (mut opening, mut attaching, mut recovering) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let (ring, time) = micros(|| Ring::<u64, slipring::Mpmc>::open(name))?;
        opening.push(time);
        let (producer, time) = micros(|| ring.producer())?;
        attaching.push(time);
        let ((), time) = micros(|| recover(name).map(drop))?;
        recovering.push(time);
        drop(producer);
    }
    Ok([opening, attaching, recovering].map(median))
}
