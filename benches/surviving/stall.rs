//! How long a kill blocks the survivors.
//!
//! One producer and one consumer stream. A third process claims a slot, or reads a message, and
//! then stops. Soon the producer blocks on a full ring, and the consumer on an empty one. Later the
//! third process is killed. The measured time starts when the kernel has released the lock of its
//! seat, and ends when both survivors have continued.

use crate::object::Object;
use crate::processes::{Crew, Role, Shape, Victim};
use crate::stall_processes::{Counts, StallState, names};
use crate::{Effort, Result};
use bench_support::{CAPACITY, Names, now, prefix, quantile, share};
use slipring::{Options, mpmc};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::Duration;

const SLACK: Duration = Duration::from_millis(5);
/// Nanoseconds after which a survivor counts as blocked forever.
const TIMEOUT: u64 = 5_000_000_000;

/// Milliseconds.
struct Kill {
    role: Role,
    /// From the kill until the seat was free.
    death: f64,
    /// From the free seat until the next push and pop.
    pushed: f64,
    popped: f64,
}

pub(crate) fn measure_and_print(effort: Effort) -> Result<()> {
    println!("The stall, 1 to 1: time from the release of the victim's seat until both survivors");
    println!("continue, in ms, by liveness interval.\n");
    println!(
        "{:>8} {:15} {:>5} {:>7} {:>7} {:>7} {:>7} {:>16} {:>14}",
        "interval",
        "victim",
        "kills",
        "p50",
        "p90",
        "p99",
        "max",
        "interval + 5 ms",
        "to free a seat"
    );
    for (interval, kills) in [(10, effort.kills), (100, effort.slow_kills)] {
        let interval = Duration::from_millis(interval);
        let results = measure(interval, kills)?;
        for role in [Some(Role::StallClaimant), Some(Role::StallReader), None] {
            show(interval, role, &results);
        }
    }
    println!();
    Ok(())
}

fn measure(interval: Duration, kills: u64) -> Result<Vec<Kill>> {
    let prefix = prefix("surviving-stall");
    let mut names_guard = Names::default();
    let [name, state] = names(&prefix).map(|name| names_guard.keep(name));
    let state: &StallState = share(&state)?;
    let options = Options::new()
        .capacity(CAPACITY)
        .liveness_interval(interval);
    let ring = mpmc::Ring::<u64>::create_with(&name, &options)?;
    let object = Object::open(&name)?;
    let mut crew = Crew::default();
    for role in [Role::StallProducer, Role::StallConsumer] {
        crew.start(role, &prefix, &Shape::default())?;
    }
    let mut results = Vec::new();
    for number in 0..kills {
        let role = if number % 2 == 0 {
            Role::StallClaimant
        } else {
            Role::StallReader
        };
        let victim = Victim::start(role, &prefix, &Shape::default())?;
        results.push(kill(role, victim, state, &object, interval)?);
        crew.are_working()?;
    }
    state.is_over.store(1, Release);
    crew.finish()?;

    let counters = ring.counters();
    let (claims, reads) = (kills.div_ceil(2), kills / 2);
    if (counters.tombstones, counters.redelivered) != (claims, reads) {
        return Err(format!(
            "counters: found {counters:?}, expected {claims} tombstones and {reads} redelivered"
        )
        .into());
    }
    let of = |counts: &Counts| [&counts.count, &counts.sum].map(|line| line.load(Acquire));
    let (pushed, popped) = (of(&state.pushes), of(&state.pops));
    if pushed != popped {
        return Err(format!("pushed {pushed:?}, popped {popped:?}").into());
    }
    Ok(results)
}

fn kill(
    role: Role,
    mut victim: Victim,
    state: &StallState,
    object: &Object,
    interval: Duration,
) -> Result<Kill> {
    let pid = victim.pid();
    while state.ready.load(Acquire) != u64::from(pid) {
        victim.check()?;
        thread::sleep(Duration::from_micros(100));
    }
    let [seat] = object.seats_of(pid)?[..] else {
        return Err("the victim has no seat".into());
    };
    let survivors = [&state.pushes, &state.pops];
    await_block(survivors)?;
    for survivor in survivors {
        survivor.is_awaited.store(1, Release);
    }
    // At a random moment between two liveness checks of the survivors.
    let wait = now().wrapping_mul(0x9e37_79b9_7f4a_7c15) % interval.as_nanos() as u64;
    thread::sleep(Duration::from_nanos(wait));

    let killed = now();
    victim.kill()?;
    while !object.is_free(seat)? {
        thread::yield_now();
    }
    let freed = now();
    for survivor in survivors {
        while survivor.is_awaited.load(Acquire) == 1 {
            if now() > freed + TIMEOUT {
                return Err("a survivor is still blocked after the timeout".into());
            }
            thread::sleep(Duration::from_micros(500));
        }
    }
    let millis = |nanos: u64| nanos as f64 / 1e6;
    let [pushed, popped] =
        survivors.map(|survivor| millis(survivor.at.load(Relaxed).saturating_sub(freed)));
    Ok(Kill {
        role,
        death: millis(freed - killed),
        pushed,
        popped,
    })
}

/// Waits until both survivors are blocked.
fn await_block(survivors: [&Counts; 2]) -> Result<()> {
    let start = now();
    let counts = || survivors.map(|survivor| survivor.count.load(Acquire));
    let mut before = counts();
    loop {
        thread::sleep(Duration::from_millis(1));
        let now_done = counts();
        if now_done == before {
            return Ok(());
        }
        before = now_done;
        if now() > start + TIMEOUT {
            return Err("the survivors do not block".into());
        }
    }
}

fn show(interval: Duration, role: Option<Role>, results: &[Kill]) {
    let sorted = |value: fn(&Kill) -> f64| {
        let chosen = results
            .iter()
            .filter(|kill| role.is_none_or(|role| role == kill.role));
        let mut values: Vec<f64> = chosen.map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let stalls = sorted(|kill| kill.pushed.max(kill.popped));
    if stalls.is_empty() {
        return;
    }
    let bound = (interval + SLACK).as_secs_f64() * 1000.0;
    let within = stalls.iter().filter(|&&stall| stall <= bound).count();
    let deaths = sorted(|kill| kill.death);
    println!(
        "{:>5} ms {:15} {:>5} {:>7.2} {:>7.2} {:>7.2} {:>7.2} {:>15.2}% {:>6.2} .. {:.2}",
        interval.as_millis(),
        match role {
            Some(Role::StallClaimant) => "open claim",
            Some(_) => "open guard",
            None => "both",
        },
        stalls.len(),
        quantile(&stalls, 0.5),
        quantile(&stalls, 0.9),
        quantile(&stalls, 0.99),
        quantile(&stalls, 1.0),
        within as f64 / stalls.len() as f64 * 100.0,
        quantile(&deaths, 0.5),
        quantile(&deaths, 0.99),
    );
}
