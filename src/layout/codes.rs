//! The numbers by which a header encodes the properties of a ring.

use crate::properties::{Delivery, Encoding, Fences, Kind};
use crate::role::Role;

/// A property that the header encodes as one 32-bit word.
pub(super) trait Code: Sized {
    fn encode(self) -> u32;

    /// `None` if no value has this word: a peer may store any.
    fn decode(word: u32) -> Option<Self>;
}

macro_rules! codes {
    ($property:ty: $($value:ident = $word:literal),+) => {
        impl Code for $property {
            fn encode(self) -> u32 {
                match self {
                    $(Self::$value => $word,)+
                }
            }

            fn decode(word: u32) -> Option<Self> {
                match word {
                    $($word => Some(Self::$value),)+
                    _ => None,
                }
            }
        }
    };
}

codes!(Kind: Spsc = 1, Mpmc = 2);
codes!(Role: Producer = 1, Consumer = 2);
codes!(Encoding: Values = 1, Bytes = 2);
codes!(Delivery: AtLeastOnce = 0, AtMostOnce = 1);
codes!(Fences: Membarrier = 1, Symmetric = 2);
