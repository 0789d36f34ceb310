//! The event word over the kernel's own futex, between threads.

use super::Event;
use crate::properties::Fences;
use crate::sync::{AtomicU32, Relaxed};
use crate::sys::clock::Instant;
use core::time::Duration;
use std::thread;

const ITEMS: u32 = if cfg!(miri) { 10 } else { 2000 };

/// Waits for an item and takes it.
fn take_item(items: &AtomicU32, event: &Event) {
    let is_ready = || items.load(Relaxed) > 0;
    loop {
        let seen = items.load(Relaxed);
        if seen == 0 {
            event.wait(Fences::Symmetric, Instant::NEVER, is_ready);
        } else if items
            .compare_exchange(seen, seen - 1, Relaxed, Relaxed)
            .is_ok()
        {
            return;
        }
    }
}

#[test]
fn notify_wakes_a_sleeper_for_every_item() {
    let (items, taken) = (AtomicU32::new(0), AtomicU32::new(0));
    let (item_added, item_taken) = (Event::new(), Event::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ITEMS {
                    take_item(&items, &item_added);
                    taken.fetch_add(1, Relaxed);
                    item_taken.notify(Fences::Symmetric);
                }
            });
        }
        for _ in 0..2 * ITEMS {
            items.fetch_add(1, Relaxed);
            item_added.notify(Fences::Symmetric);
            // Waiting for each item lets both takers fall asleep now and then.
            take_item(&taken, &item_taken);
        }
    });
}

#[test]
fn notify_all_ends_every_wait() {
    let (closed, event) = (AtomicU32::new(0), Event::new());
    let is_closed = || closed.load(Relaxed) == 1;
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_closed() {
                    event.wait(Fences::Symmetric, Instant::NEVER, is_closed);
                }
            });
        }
        closed.store(1, Relaxed);
        event.notify_all();
    });
}

#[test]
fn wait_returns_at_deadline() {
    let event = Event::new();
    let deadline = Instant::now().after(Duration::from_millis(5));
    while Instant::now() < deadline {
        event.wait(Fences::Symmetric, deadline, || false);
    }
}
