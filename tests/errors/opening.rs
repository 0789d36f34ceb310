//! Every way in which a ring is not made, found or removed: the variant, what its fields say,
//! and how it reads.

use crate::support::names::Name;
use core::time::Duration;
use slipring::error::{
    AttachError, Corrupt, CreateError, Disconnected, Forked, InvalidName, OpenError,
    OpenOrCreateError, PopError, PopTimeoutError, PushError, PushSliceError, PushTimeoutError,
    SystemError, TooLong, TryPopError, TryPushError, UnlinkError,
};
use slipring::spsc::Ring;
use slipring::{Encoding, Fences, Kind, Options, unlink};
use static_assertions::assert_impl_all;
use std::error::Error;
use std::fs;
use std::os::unix::fs::{FileExt, symlink};

macro_rules! errors {
    ($($error:ty),* $(,)?) => {$( assert_impl_all!($error: Error, Send, Sync); )*};
}
errors!(
    AttachError,
    Corrupt,
    CreateError,
    Disconnected,
    Forked,
    InvalidName,
    OpenError
);
errors!(
    OpenOrCreateError,
    PopError,
    PopTimeoutError,
    PushError,
    PushSliceError
);
errors!(
    PushTimeoutError,
    SystemError,
    TooLong,
    TryPopError,
    TryPushError,
    UnlinkError
);

/// Where the layout has its fields.
mod at {
    pub(crate) const MAGIC: u64 = 0x00;
    pub(crate) const VERSION: u64 = 0x08;
    pub(crate) const KIND: u64 = 0x0c;
    pub(crate) const ENCODING: u64 = 0x10;
    pub(crate) const FENCES: u64 = 0x14;
    pub(crate) const CAPACITY: u64 = 0x18;
    pub(crate) const STRIDE: u64 = 0x20;
    pub(crate) const PAYLOAD_SIZE: u64 = 0x24;
    pub(crate) const PAYLOAD_ALIGN: u64 = 0x28;
    pub(crate) const PARTICIPANTS: u64 = 0x2c;
    pub(crate) const SCHEMA: u64 = 0x30;
    pub(crate) const SLOTS_OFFSET: u64 = 0x38;
    pub(crate) const TOTAL_LEN: u64 = 0x40;
    pub(crate) const PRODUCERS: u64 = 0x48;
    pub(crate) const LIVENESS_INTERVAL: u64 = 0x318;
    pub(crate) const DELIVERY: u64 = 0x320;
    pub(crate) const FLAGS: u64 = 0x324;
    pub(crate) const SUCCESSOR: u64 = 0x328;
}

/// How many bytes a ring of four `u64` takes.
const SIZE: u64 = 0x2000;

/// A ring of four `u64`, which is dropped, with `bytes` written over what is at `offset`.
fn patched(offset: u64, bytes: &[u8]) -> Name {
    let name = Name::new();
    Ring::<u64>::create(&name, 4).unwrap();
    name.file().write_all_at(bytes, offset).unwrap();
    name
}

fn refused(name: &Name) -> OpenError {
    Ring::<u64>::open(name).unwrap_err()
}

#[test]
fn a_number_in_the_header_that_can_not_be_is_named() {
    let u32s: [(u64, &str, &[u32]); 8] = [
        (at::KIND, "kind", &[0, 3, u32::MAX]),
        (at::ENCODING, "encoding", &[0, 3, u32::MAX]),
        (at::FENCES, "fences", &[0, 3, u32::MAX]),
        (at::STRIDE, "stride", &[0, 8, 15, 17, 24, u32::MAX]),
        (at::PAYLOAD_SIZE, "payload_size", &[u32::MAX, u32::MAX - 1]),
        (
            at::PAYLOAD_ALIGN,
            "payload_align",
            &[0, 3, 8192, 1 << 31, u32::MAX],
        ),
        (at::PARTICIPANTS, "participants", &[0, 1, 3, u32::MAX]),
        (at::PRODUCERS, "producers", &[0, 2, u32::MAX]),
    ];
    for (offset, name, words) in u32s {
        for &word in words {
            is!(refused(&patched(offset, &word.to_le_bytes())),
                OpenError::Inconsistent { field, found, .. } if (field, found) == (name, u64::from(word)),
                "the header's {name} can't be {word}");
        }
    }
    let delivery = [1, u32::MAX].map(|word| (at::DELIVERY, "delivery", word));
    for (offset, name, word) in delivery {
        is!(refused(&patched(offset, &word.to_le_bytes())),
            OpenError::Inconsistent { field, found, .. } if (field, found) == (name, u64::from(word)),
            "the header's {name} can't be {word}");
    }
    let u64s: [(u64, &str, &[u64]); 5] = [
        (
            at::CAPACITY,
            "capacity",
            &[0, 1, 3, 6, 1 << 31, 1 << 63, u64::MAX],
        ),
        (
            at::SLOTS_OFFSET,
            "slots_offset",
            &[0, 1, 0x2000, 0xfff, 1 << 63, u64::MAX],
        ),
        (
            at::TOTAL_LEN,
            "total_len",
            &[0, 1, SIZE - 1, SIZE + 1, 2 * SIZE, 1 << 63, u64::MAX],
        ),
        (at::LIVENESS_INTERVAL, "liveness_interval", &[0]),
        (at::SUCCESSOR, "successor", &[1, u64::MAX]),
    ];
    for (offset, name, words) in u64s {
        for &word in words {
            is!(refused(&patched(offset, &word.to_le_bytes())),
                OpenError::Inconsistent { field, found, .. } if (field, found) == (name, word),
                "the header's {name} can't be {word}");
        }
    }
}

#[test]
fn numbers_that_could_be_but_contradict_each_other_are_refused() {
    let capacity = patched(at::CAPACITY, &8192_u64.to_le_bytes());
    is!(refused(&capacity), OpenError::Inconsistent { field: "total_len", found, .. } if found == SIZE,
        "the header's total_len can't be 8192");
    let size = patched(at::PAYLOAD_SIZE, &9_u32.to_le_bytes());
    is!(refused(&size), OpenError::Inconsistent { field: "stride", found: 16, .. } if true,
        "the header's stride can't be 16");
    let align = patched(at::PAYLOAD_ALIGN, &16_u32.to_le_bytes());
    is!(refused(&align), OpenError::Inconsistent { field: "stride", found: 16, .. } if true,
        "the header's stride can't be 16");
}

#[test]
fn a_ring_of_another_make_is_refused() {
    let is_no_ring = |name: &Name| {
        is!(refused(name), OpenError::NotARing { name: ref told, .. } if **told == **name,
            "{} is not a ring", &**name);
    };
    is_no_ring(&patched(at::MAGIC, b"slipring"));
    is_no_ring(&patched(at::MAGIC, &[0; 8]));
    is!(refused(&patched(at::VERSION, &2_u32.to_le_bytes())),
        OpenError::Version { expected: 1, found: 2, .. } if true,
        "the layout is version 2, this library knows version 1");
    is!(refused(&patched(at::FLAGS, &0x8000_0002_u32.to_le_bytes())),
        OpenError::UnknownFlags { found: 0x8000_0002, .. } if true,
        "the ring has unknown flags 0x80000002");
    is!(refused(&patched(at::KIND, &2_u32.to_le_bytes())),
        OpenError::Kind { expected: Kind::Spsc, found: Kind::Mpmc, .. } if true,
        "the ring is mpmc, not spsc");
}

#[test]
fn what_is_no_ring_at_all_is_refused() {
    let is_no_ring = |name: &Name| {
        is!(refused(name), OpenError::NotARing { name: ref told, .. } if **told == **name,
            "{} is not a ring", &**name);
    };
    let name = Name::new();
    let contents: [&[u8]; 5] = [b"", b"S", b"SLIPRIN", &[0; 4096], &[0xff; 9000]];
    for bytes in contents {
        fs::write(name.path(), bytes).unwrap();
        is_no_ring(&name);
    }
    let ring = Name::new();
    Ring::<u64>::create(&ring, 4).unwrap();
    fs::remove_file(name.path()).unwrap();
    symlink(ring.path(), name.path()).unwrap();
    is_no_ring(&name);
    fs::remove_file(name.path()).unwrap();
    nix::unistd::mkfifo(&name.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    is_no_ring(&name);
    fs::remove_file(name.path()).unwrap();
    fs::create_dir(name.path()).unwrap();
    is_no_ring(&name);
    fs::remove_dir(name.path()).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(name.path()).unwrap();
    is_no_ring(&name);
    drop(socket);
}

#[test]
fn a_file_that_is_too_short_is_refused() {
    for left in [0x48, 0x3ff, 0x400, 0x1000, SIZE - 4096, SIZE - 1] {
        let name = patched(0, b"");
        name.file().set_len(left).unwrap();
        is!(refused(&name),
            OpenError::Truncated { expected, found, .. } if (expected, found) == (SIZE, left),
            "{left} bytes are left of a ring of {SIZE}");
    }
}

/// Somebody was killed who made room for another ring to follow.
#[test]
fn a_file_that_is_longer_than_its_ring_is_opened() {
    for more in [SIZE + 1, SIZE + 4096] {
        let name = patched(0, b"");
        name.file().set_len(more).unwrap();
        Ring::<u64>::open(&name).unwrap();
    }
}

#[test]
fn a_file_that_is_cut_off_before_its_size_needs_at_least_a_header() {
    let name = patched(0, b"");
    name.file().set_len(0x40).unwrap();
    let error = refused(&name);
    assert!(
        matches!(
            error,
            OpenError::Truncated {
                expected: 0x400..,
                found: 0x40,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_ring_that_is_not_what_was_asked_for_is_refused() {
    let name = Name::new();
    let made = Options::new()
        .capacity(4)
        .schema(0xa)
        .mode(0o640)
        .fences(Fences::Symmetric);
    Ring::<u64>::create_with(&name, &made.liveness_interval(Duration::from_nanos(5))).unwrap();
    let asked = |options: Options| Ring::<u64>::open_with(&name, &options).unwrap_err();
    is!(Ring::<[u8]>::open(&name).unwrap_err(),
        OpenError::Encoding { expected: Encoding::Bytes, found: Encoding::Values, .. } if true,
        "the ring carries values, not byte strings");
    is!(Ring::<u32>::open(&name).unwrap_err(),
        OpenError::PayloadSize { expected: 4, found: 8, .. } if true,
        "the ring's messages have 8 bytes, not 4");
    is!(Ring::<[u8; 8]>::open(&name).unwrap_err(),
        OpenError::PayloadAlign { expected: 1, found: 8, .. } if true,
        "the ring's messages are aligned to 8 bytes, not 1");
    is!(asked(Options::new().schema(0xb)),
        OpenError::Schema { expected: 0xb, found: 0xa, .. } if true,
        "the ring's schema is 0xa, not 0xb");
    is!(asked(Options::new().capacity(5)),
        OpenError::Capacity { expected: 8, found: 4, .. } if true,
        "the ring has a capacity of 4, not 8");
    is!(asked(Options::new().capacity(usize::MAX)),
        OpenError::Capacity { expected: u64::MAX, found: 4, .. } if true,
        "the ring has a capacity of 4, not 18446744073709551615");
    is!(asked(Options::new().liveness_interval(Duration::from_nanos(6))),
        OpenError::LivenessInterval { expected: 6, found: 5, .. } if true,
        "the ring's liveness interval is 5 ns, not 6 ns");
    is!(asked(Options::new().mode(0o600)),
        OpenError::Mode { expected: 0o600, found: 0o640, .. } if true,
        "the ring's mode is 0o640, not 0o600");
    is!(asked(Options::new().fences(Fences::Membarrier)),
        OpenError::Fences { expected: Fences::Membarrier, found: Fences::Symmetric, .. } if true,
        "the ring has symmetric fences, not membarrier");

    let name = Name::new();
    Ring::<[u8]>::create(&name, 4, 10).unwrap();
    is!(Ring::<u64>::open(&name).unwrap_err(),
        OpenError::Encoding { expected: Encoding::Values, found: Encoding::Bytes, .. } if true,
        "the ring carries byte strings, not values");
    is!(Ring::<[u8]>::open_with(&name, &Options::new().message_size(11)).unwrap_err(),
        OpenError::PayloadSize { expected: 11, found: 10, .. } if true,
        "the ring's messages have 10 bytes, not 11");
}

#[test]
fn a_schema_may_be_any_number() {
    let name = patched(at::SCHEMA, &u64::MAX.to_le_bytes());
    Ring::<u64>::open(&name).unwrap();
    Ring::<u64>::open_with(&name, &Options::new().schema(u64::MAX)).unwrap();
    assert!(Ring::<u64>::open_with(&name, &Options::new().schema(0)).is_err());
}

#[test]
fn names_that_are_free_taken_or_none_are_told() {
    let name = Name::new();
    let told = &*name;
    is!(refused(&name), OpenError::NotFound { name: ref found, .. } if found == told,
        "{told} does not exist");
    is!(unlink(&name).unwrap_err(), UnlinkError::NotFound { name: ref found, .. } if found == told,
        "{told} does not exist");
    Ring::<u64>::create(&name, 4).unwrap();
    is!(Ring::<u64>::create(&name, 4).unwrap_err(),
        CreateError::Exists { name: ref found, .. } if found == told,
        "{told} exists already");
    is!(Ring::<u32>::open_or_create(&name, 4).unwrap_err(),
        OpenOrCreateError::Open(OpenError::PayloadSize { .. }) if true,
        "the ring's messages have 8 bytes, not 4");
    is!(unlink("a/b").unwrap_err(),
        UnlinkError::InvalidName(InvalidName { ref name, reason, .. })
            if (&**name, reason) == ("a/b", "it does not start with a slash"),
        "\"a/b\" can't name a ring: it does not start with a slash");
}

#[test]
fn what_can_not_be_made_is_told() {
    let name = Name::new();
    let create = |options: &Options| Ring::<u64>::create_with(&name, options).unwrap_err();
    for number in [0, 1, (1 << 30) + 1, usize::MAX] {
        is!(create(&Options::new().capacity(number)),
            CreateError::Capacity { asked, min: 2, max: 0x4000_0000, .. } if asked == number as u64,
            "a capacity of {number} is not between 2 and 1073741824 messages");
    }
    is!(create(&Options::new()), CreateError::Capacity { asked: 0, .. } if true,
        "a capacity of 0 is not between 2 and 1073741824 messages");
    is!(Ring::<u64>::open_or_create_with(&name, &Options::new()).unwrap_err(),
        OpenOrCreateError::Create(CreateError::Capacity { asked: 0, .. }) if true,
        "a capacity of 0 is not between 2 and 1073741824 messages");
    let two = Options::new().capacity(2);
    is!(Ring::<[u8]>::create_with(&Name::new(), &two).unwrap_err(),
        CreateError::NoMessageSize if true,
        "a ring of byte strings needs a message size");
    is!(create(&two.clone().message_size(7)),
        CreateError::MessageSize { asked: 7, max: 8, .. } if true,
        "messages can't have 7 bytes: 8 are possible");
    is!(create(&two.clone().message_size(9)),
        CreateError::MessageSize { asked: 9, max: 8, .. } if true,
        "messages can't have 9 bytes: 8 are possible");
    is!(Ring::<[u8]>::create(&name, 2, u32::MAX as usize - 1).unwrap_err(),
        CreateError::MessageSize { asked: 0xffff_fffe, max: 0xffff_dfff, .. } if true,
        "messages can't have 4294967294 bytes: 4294959103 are possible");
    is!(create(&two.clone().liveness_interval(Duration::ZERO)),
        CreateError::LivenessInterval if true,
        "a liveness interval of zero asks without end");
    is!(create(&two.clone().mode(0o1600)), CreateError::Mode { asked: 0o1600, .. } if true,
        "mode 0o1600 is not made of permissions, the owner's to read and write included");
    is!(create(&two.clone().mode(0o060)), CreateError::Mode { asked: 0o060, .. } if true,
        "mode 0o60 is not made of permissions, the owner's to read and write included");
    assert!(!name.path().exists());
}
