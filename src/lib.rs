//! Message passing between unrelated processes: ring buffers in shared memory.
//!
//! A ring has a name and a capacity. One process [creates](Ring::create) it, others
//! [open](Ring::open) it, and messages flow through memory that all of them have mapped:
//! plain values ([`bytemuck::Pod`]) or byte strings. A process that finds nothing to do looks for
//! a while and then sleeps on a futex. While there is room and data, no operation makes a system
//! call or takes a lock, and none allocates but for the byte strings that it hands out.
//!
//! The name says where the ring lives: in POSIX shared memory if it is just `/name`, or in a file, a sealed
//! memfd or a System V segment. [`Backing`] has the forms.
//!
//! There are two kinds of ring, with one surface: [`spsc`] for one producer and one consumer,
//! [`mpmc`] for many of each.
//!
//! # What is promised
//!
//! * **Exact hand-off.** A message whose push completed is popped exactly once, in order, whatever
//!   processes are killed in between. A push that is killed happened whole or not at all.
//! * **Nobody waits for the dead.** Any participant may be killed at any instruction. The others
//!   learn of it within a [liveness interval](Options::liveness_interval). In an SPSC ring the next
//!   holder of the dead one's end goes on where it stopped; in an MPMC ring the others finish what
//!   it had begun.
//! * **Nobody robs the living.** Death is what the kernel says is dead. A process that is stopped
//!   is waited for.
//!
//! # Whom it trusts
//!
//! *Cooperative* peers follow this protocol and may die or stop anywhere: everything above is
//! about them. They are who may open a ring, by default processes of the same user.
//!
//! *Hostile* peers may store anything into the ring at any time. Then there is no promise of
//! delivery, but safe functions still read and write nothing out of bounds, never panic, end
//! within bounded time, and return [`Corrupt`](error::Corrupt). Safe functions copy; access in
//! place is `unsafe`, since a hostile peer can change what a reference points to. And whoever may
//! write an object that has a name can cut it short, which the kernel answers with SIGBUS: a ring for
//! hostile peers is a memfd. In a System V segment a hostile peer can also have the living taken for dead.
//!
//! # Progress
//!
//! | operation | waits for others | enters the kernel |
//! |-----------|--------|-------------------|
//! | `try_push`, `try_pop`, claims, guards and batches by `try_` | never | to wake a sleeper; when refused, at most once an interval |
//! | `push`, `pop` and their like | while full or empty | to wake a sleeper; to sleep |
//! | `create`, `open`, `producer`, `consumer`, `peer`, `recover` | for a liveness interval or a second, whichever is more | always |
//!
//! # Layers
//!
//! From the top: `spsc` and `mpmc` are what users touch; `handle` is what is behind both;
//! `open_ring` is a ring that is open here, and an end of it; `observer` is one that is only looked at; `recovery` finishes what the dead
//! had begun; `seat` knows who is alive; `segment` is each of the rings of an object that has grown; `layout` is the bytes; `region` is where they live; `ring` is
//! the algorithms on words and cells, `wait` the event word, `sys` the kernel. A module imports
//! from below only.

// What a model checker is given has no users but the models.
#![cfg_attr(any(loom, shuttle), allow(dead_code, unreachable_pub, unused_imports))]

#[cfg(not(all(
    target_os = "linux",
    target_endian = "little",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!(
    "slipring needs Linux on x86-64 or aarch64: its rings are 64-bit little-endian, and it sleeps on Linux futexes"
);

pub mod error;
mod properties;
mod ring;
mod role;
mod sync;
mod sys;
mod wait;

#[cfg(not(any(loom, shuttle)))]
mod api;
#[cfg(not(any(loom, shuttle)))]
mod backing;
#[cfg(not(any(loom, shuttle)))]
mod endpoint;
#[cfg(not(any(loom, shuttle)))]
mod growth;
#[cfg(not(any(loom, shuttle)))]
mod layout;
#[cfg(not(any(loom, shuttle)))]
mod message;
#[cfg(not(any(loom, shuttle)))]
pub mod mpmc;
#[cfg(not(any(loom, shuttle)))]
mod observer;
#[cfg(not(any(loom, shuttle)))]
mod open;
#[cfg(not(any(loom, shuttle)))]
mod options;
#[cfg(not(any(loom, shuttle)))]
mod protocol;
#[cfg(not(any(loom, shuttle)))]
mod recovery;
#[cfg(not(any(loom, shuttle)))]
mod seat;
#[cfg(not(any(loom, shuttle)))]
mod segment;
#[cfg(not(any(loom, shuttle)))]
pub mod spsc;

#[cfg(fuzzing)]
pub use self::sync::steps;
#[cfg(not(any(loom, shuttle)))]
pub use self::{
    api::{Claim, ClaimChunk, Consumer, Iter, Producer, ReadChunk, ReadGuard, Ring, TryIter},
    backing::{Backing, HugePages, unlink},
    message::Message,
    observer::{Observer, Occupancy, Peek, Seat, Segment, Snapshot, Waiting},
    open::{ExclusiveRing, MemoryStat, grow, recover},
    options::{Options, WaitStrategy},
    protocol::{Mpmc, Protocol, Spsc},
    recovery::{Counters, Recovery},
};
pub use self::{
    properties::{Delivery, Encoding, Fences, Kind},
    role::{Peer, Role},
};
