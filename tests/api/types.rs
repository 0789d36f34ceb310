//! The traits of the public types, and their debug output.

use crate::support::names::Name;
use core::fmt::Debug;
use slipring::{Consumer, Message, Protocol, Ring};
use static_assertions::{assert_impl_all, assert_not_impl_any};

/// Plain bytes without other traits: the public types may require no more of a message.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
#[allow(dead_code, reason = "only its traits are checked")]
struct Opaque([u8; 8]);

macro_rules! assert_types {
    ($kind:ident) => {
        const _: () = {
            use slipring::$kind::{Claim, Consumer, Iter, Producer, ReadGuard, Ring, TryIter};
    assert_impl_all!(Ring<Opaque>: Clone, Send, Sync, Debug);
    assert_impl_all!(Ring<[u8]>: Clone, Send, Sync, Debug);
    assert_impl_all!(Producer<Opaque>: Send, Debug);
    assert_impl_all!(Producer<[u8]>: Send, Debug);
    assert_not_impl_any!(Producer<Opaque>: Sync, Clone);
    assert_not_impl_any!(Producer<[u8]>: Sync, Clone);
    assert_impl_all!(Consumer<Opaque>: Send, Debug);
    assert_impl_all!(Consumer<[u8]>: Send, Debug);
    assert_not_impl_any!(Consumer<Opaque>: Sync, Clone);
    assert_not_impl_any!(Consumer<[u8]>: Sync, Clone);
    assert_impl_all!(Claim<'static, Opaque>: Send, Debug);
    assert_impl_all!(Claim<'static, [u8]>: Send, Debug, std::io::Write);
    assert_not_impl_any!(Claim<'static, Opaque>: Sync, Clone);
    assert_impl_all!(ReadGuard<'static, Opaque>: Send, Debug);
    assert_impl_all!(ReadGuard<'static, [u8]>: Send, Debug);
    assert_not_impl_any!(ReadGuard<'static, Opaque>: Sync, Clone);
    assert_impl_all!(Iter<'static, u64>: Send, Debug, Iterator<Item = u64>);
    assert_impl_all!(TryIter<'static, [u8]>: Send, Debug, Iterator<Item = Vec<u8>>);
        };
    };
}
assert_types!(spsc);
assert_types!(mpmc);

for_each_kind! {
    all_backings:
        debug_output_contains_no_messages
    ;
}

const VALUE: u64 = 0x5ec2_e75e_c2e7_5ec2;
const STRING: &[u8] = b"secret";

fn assert_hides(text: String) {
    let forms = [
        format!("{VALUE}"),
        format!("{VALUE:x}"),
        "secret".into(),
        "115, 101".into(),
    ];
    assert!(!forms.iter().any(|form| text.contains(form)), "{text}");
    assert!(!text.is_empty());
}

fn assert_readers_hide<M: Message + ?Sized, P: Protocol>(consumer: &mut Consumer<M, P>) {
    assert_hides(format!("{:?}", consumer.read().unwrap()));
    assert_hides(format!("{:?} ", consumer.iter()));
    assert_hides(format!("{:?} ", consumer.try_iter()));
}

fn debug_output_contains_no_messages<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[VALUE; 2]).unwrap();
    let mut claim = producer.claim().unwrap();
    claim.write(&VALUE);
    assert_hides(format!("{claim:?} {claim:#?}"));
    drop(claim);
    assert_hides(format!("{ring:?} {producer:?} {consumer:?}"));
    assert_readers_hide(&mut consumer);

    let name = Name::new();
    let ring = Ring::<[u8], P>::create_bytes(&name, 4, 10).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[STRING; 2]).unwrap();
    let mut claim = producer.claim().unwrap();
    std::io::Write::write_all(&mut claim, STRING).unwrap();
    assert_hides(format!("{claim:?} {claim:#?}"));
    drop(claim);
    assert_hides(format!("{ring:?} {producer:?} {consumer:?}"));
    assert_readers_hide(&mut consumer);
}
