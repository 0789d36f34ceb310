//! The numbers by which a header encodes the properties of a ring.

use crate::properties::{Delivery, Encoding, Fences, Kind};
use crate::role::Role;

pub(super) fn encode_kind(kind: Kind) -> u32 {
    match kind {
        Kind::Spsc => 1,
        Kind::Mpmc => 2,
    }
}

pub(super) fn decode_kind(word: u32) -> Option<Kind> {
    [Kind::Spsc, Kind::Mpmc]
        .into_iter()
        .find(|&kind| encode_kind(kind) == word)
}

pub(super) fn encode_role(role: Role) -> u32 {
    match role {
        Role::Producer => 1,
        Role::Consumer => 2,
    }
}

pub(super) fn encode_encoding(encoding: Encoding) -> u32 {
    match encoding {
        Encoding::Values => 1,
        Encoding::Bytes => 2,
    }
}

pub(super) fn decode_encoding(word: u32) -> Option<Encoding> {
    [Encoding::Values, Encoding::Bytes]
        .into_iter()
        .find(|&encoding| encode_encoding(encoding) == word)
}

pub(super) fn encode_delivery(delivery: Delivery) -> u32 {
    match delivery {
        Delivery::AtLeastOnce => 0,
        Delivery::AtMostOnce => 1,
    }
}

pub(super) fn decode_delivery(word: u32) -> Option<Delivery> {
    [Delivery::AtLeastOnce, Delivery::AtMostOnce]
        .into_iter()
        .find(|&delivery| encode_delivery(delivery) == word)
}

pub(super) fn encode_fences(fences: Fences) -> u32 {
    match fences {
        Fences::Membarrier => 1,
        Fences::Symmetric => 2,
    }
}

pub(super) fn decode_fences(word: u32) -> Option<Fences> {
    [Fences::Membarrier, Fences::Symmetric]
        .into_iter()
        .find(|&fences| encode_fences(fences) == word)
}
