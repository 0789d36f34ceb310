//! The public interface: rings and their handles, of any kind. Each handle delegates to its
//! endpoint.

mod backing;
mod chunk;
mod claim;
mod consumer;
mod create;
mod guard;
mod iter;
mod producer;
mod ring;

pub use self::chunk::{ClaimChunk, ReadChunk};
pub use self::claim::Claim;
pub use self::consumer::Consumer;
pub use self::guard::ReadGuard;
pub use self::iter::{Iter, TryIter};
pub use self::producer::Producer;
pub use self::ring::Ring;
