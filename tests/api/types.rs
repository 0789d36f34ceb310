//! What the types of the surface are, and what they show of themselves.

use crate::support::names::Name;
use core::fmt::Debug;
use slipring::{Protocol, Ring};
use static_assertions::{assert_impl_all, assert_not_impl_any};

/// Plain bytes, and nothing else: what holds messages may ask no more of them.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
#[allow(dead_code, reason = "asked about, never made")]
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
        debug_output_tells_no_messages
    ;
}

fn debug_output_tells_no_messages<P: Protocol>() {
    const VALUE: u64 = 0x5ec2_e75e_c2e7_5ec2;
    const STRING: &[u8] = b"secret";
    let shows = |text: String| {
        let forms = [
            format!("{VALUE}"),
            format!("{VALUE:x}"),
            "secret".into(),
            "115, 101".into(),
        ];
        assert!(!forms.iter().any(|form| text.contains(form)), "{text}");
        assert!(!text.is_empty());
    };
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[VALUE; 2]).unwrap();
    let mut claim = producer.claim().unwrap();
    claim.write(&VALUE);
    shows(format!("{claim:?} {claim:#?}"));
    drop(claim);
    shows(format!("{ring:?} {producer:?} {consumer:?}"));
    shows(format!("{:?}", consumer.read().unwrap()));
    shows(format!("{:?} ", consumer.iter()));
    shows(format!("{:?} ", consumer.try_iter()));

    let name = Name::new();
    let ring = Ring::<[u8], P>::create(&name, 4, 10).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[STRING; 2]).unwrap();
    let mut claim = producer.claim().unwrap();
    std::io::Write::write_all(&mut claim, STRING).unwrap();
    shows(format!("{claim:?} {claim:#?}"));
    drop(claim);
    shows(format!("{ring:?} {producer:?} {consumer:?}"));
    shows(format!("{:?}", consumer.read().unwrap()));
    shows(format!("{:?} ", consumer.iter()));
    shows(format!("{:?} ", consumer.try_iter()));
}
