//! Every error of create, open and unlink: the variant, its fields and its text.

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

/// The offsets of the header's fields.
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

/// The size in bytes of a ring of four `u64`.
const SIZE: u64 = 0x2000;

/// Creates a ring of four `u64`, and overwrites the bytes at `offset`.
fn patched(offset: u64, bytes: &[u8]) -> Name {
    let name = Name::new();
    Ring::<u64>::create(&name, 4).unwrap();
    name.file().write_all_at(bytes, offset).unwrap();
    name
}

fn open_error(name: &Name) -> OpenError {
    Ring::<u64>::open(name).unwrap_err()
}

/// Checks that `open` refuses a ring because of the value of one header field.
fn assert_inconsistent(name: &Name, expected: &str, value: u64) {
    is!(open_error(name),
        OpenError::Inconsistent { field, found, .. } if (field, found) == (expected, value),
        "the header's {expected} can't be {value}");
}

fn assert_not_a_ring(name: &Name) {
    is!(open_error(name), OpenError::NotARing { name: ref found, .. } if **found == **name,
        "{} is not a ring", &**name);
}

#[test]
fn impossible_header_value_is_named_in_error() {
    let u32s: [(u64, &str, &[u32]); 9] = [
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
        (at::DELIVERY, "delivery", &[1, u32::MAX]),
    ];
    for (offset, name, words) in u32s {
        for &word in words {
            let ring = patched(offset, &word.to_le_bytes());
            assert_inconsistent(&ring, name, u64::from(word));
        }
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
            assert_inconsistent(&patched(offset, &word.to_le_bytes()), name, word);
        }
    }
}

#[test]
fn contradictory_header_values_are_refused() {
    let capacity = patched(at::CAPACITY, &8192_u64.to_le_bytes());
    assert_inconsistent(&capacity, "total_len", SIZE);
    let size = patched(at::PAYLOAD_SIZE, &9_u32.to_le_bytes());
    assert_inconsistent(&size, "stride", 16);
    let align = patched(at::PAYLOAD_ALIGN, &16_u32.to_le_bytes());
    assert_inconsistent(&align, "stride", 16);
}

#[test]
fn open_of_other_magic_version_flags_or_kind_is_refused() {
    assert_not_a_ring(&patched(at::MAGIC, b"slipring"));
    assert_not_a_ring(&patched(at::MAGIC, &[0; 8]));
    is!(open_error(&patched(at::VERSION, &2_u32.to_le_bytes())),
        OpenError::Version { expected: 1, found: 2, .. } if true,
        "the layout is version 2, this library knows version 1");
    is!(open_error(&patched(at::FLAGS, &0x8000_0002_u32.to_le_bytes())),
        OpenError::UnknownFlags { found: 0x8000_0002, .. } if true,
        "the ring has unknown flags 0x80000002");
    is!(open_error(&patched(at::KIND, &2_u32.to_le_bytes())),
        OpenError::Kind { expected: Kind::Spsc, found: Kind::Mpmc, .. } if true,
        "the ring is mpmc, not spsc");
}

#[test]
fn object_that_is_not_a_ring_is_refused() {
    let name = Name::new();
    let contents: [&[u8]; 5] = [b"", b"S", b"SLIPRIN", &[0; 4096], &[0xff; 9000]];
    for bytes in contents {
        fs::write(name.path(), bytes).unwrap();
        assert_not_a_ring(&name);
    }
    let ring = Name::new();
    Ring::<u64>::create(&ring, 4).unwrap();
    fs::remove_file(name.path()).unwrap();
    symlink(ring.path(), name.path()).unwrap();
    assert_not_a_ring(&name);
    fs::remove_file(name.path()).unwrap();
    nix::unistd::mkfifo(&name.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_not_a_ring(&name);
    fs::remove_file(name.path()).unwrap();
    fs::create_dir(name.path()).unwrap();
    assert_not_a_ring(&name);
    fs::remove_dir(name.path()).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(name.path()).unwrap();
    assert_not_a_ring(&name);
    drop(socket);
}

#[test]
fn truncated_ring_file_is_refused() {
    for left in [0x48, 0x3ff, 0x400, 0x1000, SIZE - 4096, SIZE - 1] {
        let name = patched(0, b"");
        name.file().set_len(left).unwrap();
        is!(open_error(&name),
            OpenError::Truncated { expected, found, .. } if (expected, found) == (SIZE, left),
            "{left} bytes are left of a ring of {SIZE}");
    }
}

/// A process that is killed while it adds the next segment leaves such a file.
#[test]
fn file_longer_than_its_ring_is_opened() {
    for more in [SIZE + 1, SIZE + 4096] {
        let name = patched(0, b"");
        name.file().set_len(more).unwrap();
        Ring::<u64>::open(&name).unwrap();
    }
}

#[test]
fn file_shorter_than_header_expects_at_least_a_header() {
    let name = patched(0, b"");
    name.file().set_len(0x40).unwrap();
    let error = open_error(&name);
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
fn open_with_other_type_or_options_is_refused() {
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
    Ring::<[u8]>::create_bytes(&name, 4, 10).unwrap();
    is!(Ring::<u64>::open(&name).unwrap_err(),
        OpenError::Encoding { expected: Encoding::Values, found: Encoding::Bytes, .. } if true,
        "the ring carries byte strings, not values");
    is!(Ring::<[u8]>::open_with(&name, &Options::new().message_size(11)).unwrap_err(),
        OpenError::PayloadSize { expected: 11, found: 10, .. } if true,
        "the ring's messages have 10 bytes, not 11");
}

#[test]
fn schema_may_be_any_number() {
    let name = patched(at::SCHEMA, &u64::MAX.to_le_bytes());
    Ring::<u64>::open(&name).unwrap();
    Ring::<u64>::open_with(&name, &Options::new().schema(u64::MAX)).unwrap();
    assert!(Ring::<u64>::open_with(&name, &Options::new().schema(0)).is_err());
}

#[test]
fn missing_existing_and_invalid_names_return_errors() {
    let name = Name::new();
    let text = &*name;
    is!(open_error(&name), OpenError::NotFound { name: ref found, .. } if found == text,
        "{text} does not exist");
    is!(unlink(&name).unwrap_err(), UnlinkError::NotFound { name: ref found, .. } if found == text,
        "{text} does not exist");
    Ring::<u64>::create(&name, 4).unwrap();
    is!(Ring::<u64>::create(&name, 4).unwrap_err(),
        CreateError::Exists { name: ref found, .. } if found == text,
        "{text} exists already");
    is!(Ring::<u32>::open_or_create(&name, 4).unwrap_err(),
        OpenOrCreateError::Open(OpenError::PayloadSize { .. }) if true,
        "the ring's messages have 8 bytes, not 4");
    is!(unlink("a/b").unwrap_err(),
        UnlinkError::InvalidName(InvalidName { ref name, reason, .. })
            if (&**name, reason) == ("a/b", "it does not start with a slash"),
        "\"a/b\" can't name a ring: it does not start with a slash");
}

#[test]
fn create_with_invalid_options_returns_error() {
    let name = Name::new();
    let create = |options: &Options| Ring::<u64>::create_with(&name, options).unwrap_err();
    for capacity in [0, 1, (1 << 30) + 1, usize::MAX] {
        is!(create(&Options::new().capacity(capacity)),
            CreateError::Capacity { asked, min: 2, max: 0x4000_0000, .. }
                if asked == capacity as u64,
            "a capacity of {capacity} is not between 2 and 1073741824 messages");
    }
    is!(create(&Options::new()), CreateError::Capacity { asked: 0, .. } if true,
        "a capacity of 0 is not between 2 and 1073741824 messages");
    is!(Ring::<u64>::open_or_create_with(&name, &Options::new()).unwrap_err(),
        OpenOrCreateError::Create(CreateError::Capacity { asked: 0, .. }) if true,
        "a capacity of 0 is not between 2 and 1073741824 messages");
    let two = Options::new().capacity(2);
    is!(Ring::<[u8]>::create_with(Name::new(), &two).unwrap_err(),
        CreateError::NoMessageSize if true,
        "a ring of byte strings needs a message size");
    is!(create(&two.clone().message_size(7)),
        CreateError::MessageSize { asked: 7, max: 8, .. } if true,
        "messages can't have 7 bytes: 8 are possible");
    is!(create(&two.clone().message_size(9)),
        CreateError::MessageSize { asked: 9, max: 8, .. } if true,
        "messages can't have 9 bytes: 8 are possible");
    is!(Ring::<[u8]>::create_bytes(&name, 2, u32::MAX as usize - 1).unwrap_err(),
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
