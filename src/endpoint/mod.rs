//! The engine of a handle: how a producer claims and publishes slots, how a consumer claims and
//! releases them, how both wait, and how they learn of peers that left or died.

mod liveness;
mod pop;
mod push;
mod shared;
mod wait;

pub(crate) use self::pop::PopEndpoint;
pub(crate) use self::push::PushEndpoint;
pub(crate) use self::wait::{WaitLimit, retry_until_done};
