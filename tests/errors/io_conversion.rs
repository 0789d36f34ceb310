//! Questions to ask of an error without matching it, and its conversion into `std::io::Error`.

use core::time::Duration;
use slipring::error::{
    AttachError, CreateError, Disconnected, GrowError, OpenError, PopError, PopTimeoutError,
    PushError, PushSliceError, PushTimeoutError, SystemError, TryPopError, TryPushError,
    UnlinkError,
};
use slipring::spsc::Ring;
use slipring::{Options, unlink};
use std::error::Error;
use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::process;

fn name(what: &str) -> String {
    format!("/slipring-test-io-errors-{what}-{}", process::id())
}

/// The error becomes one of a kind, which carries it and has its text.
#[track_caller]
fn becomes<E>(error: E, kind: ErrorKind)
where
    E: Error + Debug + Into<io::Error> + 'static,
{
    let (text, debug) = (error.to_string(), format!("{error:?}"));
    let converted: io::Error = error.into();
    assert_eq!(converted.kind(), kind, "{debug}");
    assert_eq!(converted.to_string(), text);
    let original = converted.into_inner().unwrap();
    assert_eq!(format!("{:?}", original.downcast::<E>().unwrap()), debug);
}

#[test]
fn push_errors_report_full_timeout_and_closed() {
    let ring = Ring::<u64>::create("memfd:", 2).unwrap();
    let mut producer = ring.producer().unwrap();
    let consumer = ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let full = producer.try_push(&3).unwrap_err();
    assert!(full.is_full() && !full.is_disconnected() && !full.is_closed());
    becomes(full, ErrorKind::WouldBlock);
    let late = producer.push_timeout(&3, Duration::ZERO).unwrap_err();
    assert!(late.is_timeout() && !late.is_disconnected());
    becomes(late, ErrorKind::TimedOut);
    let part = producer
        .push_slice_timeout(&[3], Duration::ZERO)
        .unwrap_err();
    assert!(part.reason.is_timeout());
    becomes(part, ErrorKind::TimedOut);
    drop(consumer);
    let left = producer.push(&3).unwrap_err();
    assert!(left.is_disconnected() && !left.is_closed());
    becomes(left, ErrorKind::BrokenPipe);
    ring.close();
    let closed = producer.try_push(&3).unwrap_err();
    assert!(closed.is_disconnected() && closed.is_closed() && !closed.is_full());
}

#[test]
fn pop_errors_report_empty_timeout_and_closed() {
    let ring = Ring::<u64>::create("memfd:", 2).unwrap();
    let producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    let empty = consumer.try_pop().unwrap_err();
    assert!(empty.is_empty() && !empty.is_disconnected());
    becomes(empty, ErrorKind::WouldBlock);
    let late = consumer.pop_timeout(Duration::ZERO).unwrap_err();
    assert!(late.is_timeout() && !late.is_closed());
    becomes(late, ErrorKind::TimedOut);
    drop(producer);
    let left = consumer.pop().unwrap_err();
    assert!(left.is_disconnected() && !left.is_closed());
    becomes(left, ErrorKind::UnexpectedEof);
    ring.close();
    assert!(consumer.pop().unwrap_err().is_closed());
    becomes(Disconnected::Left, ErrorKind::BrokenPipe);
    becomes(TryPopError::Empty, ErrorKind::WouldBlock);
    becomes(PopTimeoutError::TimedOut, ErrorKind::TimedOut);
    becomes(TryPushError::Full, ErrorKind::WouldBlock);
    becomes(PushTimeoutError::TimedOut, ErrorKind::TimedOut);
    becomes(
        PopError::Disconnected(Disconnected::Closed),
        ErrorKind::UnexpectedEof,
    );
    becomes(
        PushError::Disconnected(Disconnected::Closed),
        ErrorKind::BrokenPipe,
    );
}

#[test]
fn errors_by_name_become_io_errors_of_their_kind() {
    let name = name("kinds");
    let refused: OpenError = Ring::<u64>::open(&name).unwrap_err();
    becomes(refused, ErrorKind::NotFound);
    let refused: UnlinkError = unlink(&name).unwrap_err();
    becomes(refused, ErrorKind::NotFound);
    let refused: OpenError = Ring::<u64>::open("a/b").unwrap_err();
    becomes(refused, ErrorKind::InvalidInput);
    let ring = Ring::<u64>::create(&name, 2).unwrap();
    let refused: CreateError = Ring::<u64>::create(&name, 2).unwrap_err();
    becomes(refused, ErrorKind::AlreadyExists);
    let refused = Ring::<u64>::create_with(&name, &Options::new()).unwrap_err();
    becomes(refused, ErrorKind::InvalidInput);
    becomes(
        Ring::<u32>::open(&name).unwrap_err(),
        ErrorKind::InvalidInput,
    );
    let _producer = ring.producer().unwrap();
    let refused: AttachError = ring.producer().unwrap_err();
    becomes(refused, ErrorKind::ResourceBusy);
    unlink(&name).unwrap();
    let memfd = Ring::<u64>::create("memfd:", 2).unwrap();
    let refused: GrowError = memfd.grow(4).unwrap_err();
    becomes(refused, ErrorKind::Unsupported);
}

/// Its text has that of its cause, so a report that prints the chain must not find the cause again.
#[test]
fn system_error_prints_its_cause_once() {
    let deep = format!("file:/{}", "a/".repeat(3000) + "b");
    let Err(OpenError::System(refused)) = Ring::<u64>::open(&deep) else {
        panic!("not refused by the kernel");
    };
    let SystemError { call, source, .. } = &refused;
    assert_eq!(refused.to_string(), format!("{call}: {source}"));
    assert!(refused.source().is_none());
    let kind = source.kind();
    becomes(refused, kind);
}

#[test]
fn push_slice_error_becomes_its_reason() {
    let ring = Ring::<u64>::create("memfd:", 2).unwrap();
    let mut producer = ring.producer().unwrap();
    drop(ring.consumer().unwrap());
    let refused: PushSliceError = producer.push_slice(&[1, 2, 3]).unwrap_err();
    assert!(refused.reason.is_disconnected());
    becomes(refused, ErrorKind::BrokenPipe);
}
