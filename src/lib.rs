//! Bounded queues between unrelated processes, in shared memory.

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
mod ring;
mod sync;
mod sys;
mod terms;
mod wait;

#[cfg(not(any(loom, shuttle)))]
mod attachment;
#[cfg(not(any(loom, shuttle)))]
mod layout;
#[cfg(not(any(loom, shuttle)))]
mod message;
#[cfg(not(any(loom, shuttle)))]
mod options;
#[cfg(not(any(loom, shuttle)))]
mod region;
#[cfg(not(any(loom, shuttle)))]
mod seat;
#[cfg(not(any(loom, shuttle)))]
pub mod spsc;

pub use self::terms::{Encoding, Fences, Kind, Peer, Role};
#[cfg(not(any(loom, shuttle)))]
pub use self::{
    message::Message,
    options::{Options, WaitStrategy},
    region::unlink,
};
