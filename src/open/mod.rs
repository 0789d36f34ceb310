//! A ring that is open in this process, whatever its kind and its messages.

mod claim_seat;
mod exclusive;
mod memory_stat;
mod open_ring;
mod typed;
mod validate;

pub use self::exclusive::ExclusiveRing;
pub use self::memory_stat::MemoryStat;
pub use self::open_ring::{grow, recover};

pub(crate) use self::claim_seat::{ClaimedSeat, claim_seat};
pub(crate) use self::open_ring::OpenRing;
pub(crate) use self::typed::TypedRing;
