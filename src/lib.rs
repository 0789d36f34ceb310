//! Message passing between unrelated processes: ring buffers in shared memory.
//!
//! A ring has a name and a capacity. One process [creates](Ring::create) it, others
//! [open](Ring::open) it. Messages pass through memory that all of them have mapped: plain values
//! ([`bytemuck::Pod`]) or byte strings. While there is room and data, no operation makes a system
//! call or takes a lock, except to wake a sleeping peer. None allocates memory except for the byte
//! strings that it returns. A process that can't continue spins for a while and then sleeps on a
//! futex.
//!
//! The name selects the backing store: POSIX shared memory for a plain `/name`, or a file, a sealed
//! memfd or a System V segment. [`Backing`] lists the forms.
//!
//! There are two kinds of ring with the same interface: [`spsc`] for one producer and one consumer,
//! [`mpmc`] for many of each.
//!
//! ```
//! use slipring::spsc;
//!
//! # let name = &format!("/slipring-doc-crate-{}", std::process::id());
//! let ring = spsc::Ring::<u64>::create(name, 1024)?;
//! ring.producer()?.push(&7)?;
//!
//! // In another process:
//! let ring = spsc::Ring::<u64>::open(name)?;
//! assert_eq!(ring.consumer()?.pop()?, 7);
//! # slipring::unlink(name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! * **Exact hand-off.** Once its push has completed, a message is popped exactly once, in order,
//!   whatever processes are killed in between. A push that is killed happened completely or not at all.
//!   [`spsc`] and [`mpmc`] describe what happens to a message that a killed consumer held.
//! * **No survivor blocks.** Any participant may receive SIGKILL at any instruction. The others
//!   notice its death within a [liveness interval](Options::liveness_interval). In an SPSC ring the
//!   next holder of its seat continues where it stopped. In an MPMC ring the others finish its
//!   operations.
//! * **Recovery never takes anything from a live process.** Only the kernel's release of a lock
//!   proves a death. Operations wait for a stopped process.
//!
//! # Trust
//!
//! *Cooperative* peers follow this protocol, and may die or stop anywhere. The guarantees hold
//! among them. Every process that may open the ring is assumed to be one; by default these are the
//! processes of the same user.
//!
//! *Hostile* peers may store anything to the ring at any time. Then no delivery is guaranteed. Safe
//! functions still access nothing out of bounds, never panic, end within bounded time, and return
//! [`Corrupt`](error::Corrupt). They copy messages; access in place is `unsafe`, since a hostile
//! peer can change what a reference points to.
//!
//! A process that may write a named object can also truncate it, and the kernel then raises SIGBUS.
//! So a ring for hostile peers is a memfd of small pages, which can't be truncated;
//! [`Ring::from_fd`] has what remains. In a System V segment a hostile peer can, in addition,
//! make live processes look dead.
//!
//! # Progress
//!
//! | operation | waits for other processes | makes a system call |
//! |-----------|---------------------------|---------------------|
//! | `try_push`, `try_pop`, `try_` claims, guards and batches | never | to wake a sleeper; if refused, at most once an interval |
//! | `push`, `pop` and their variants | while full or empty | to wake a sleeper; to sleep |
//! | `create`, `open`, `producer`, `consumer`, `peer`, `recover` | for a liveness interval or a second, whichever is more | always |
//!
//! # Layers
//!
//! A module imports only from modules below it. From the top:
//!
//! | module | contents |
//! |--------|----------|
//! | `spsc`, `mpmc` | the public interface of each kind |
//! | `api` | rings and handles of both kinds |
//! | `endpoint` | the engine of a handle |
//! | `open` | rings that are open in this process, and seats that it claims |
//! | `observer` | read-only views |
//! | `growth` | the chain of segments, and its growth |
//! | `recovery` | when recovery runs, and its lock |
//! | `segment` | one ring of an object |
//! | `seat` | seat locks: which process is alive |
//! | `layout` | the bytes of a ring |
//! | `backing` | the objects that hold the bytes |
//! | `ring` | the algorithms on words and slots |
//! | `wait` | the event word |
//! | `sys` | the kernel |

// A file that needs unsafe code allows it at its top.
#![deny(unsafe_code)]
// Under a model checker only the models use the code.
#![cfg_attr(any(loom, shuttle), allow(dead_code, unreachable_pub, unused_imports))]

#[cfg(not(all(
    target_os = "linux",
    target_endian = "little",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!(
    "slipring needs Linux on x86-64 or aarch64 (64-bit, little-endian), for its layout and futexes"
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
/// The crate [`bytemuck`](https://docs.rs/bytemuck). Its [`Pod`](bytemuck::Pod) types are messages.
///
/// Types that derive `Pod` through it need `#[bytemuck(crate = "slipring::bytemuck")]`, as
/// [`Message`] shows.
#[cfg(not(any(loom, shuttle)))]
pub use bytemuck;
