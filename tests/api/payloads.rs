//! Messages of every size, alignment and length arrive unchanged.

use crate::support::names::Name;
use bytemuck::{Pod, Zeroable};
use slipring::error::{TooLong, TryPushError};
use slipring::{Protocol, Ring};
use std::io::Write;

for_each_kind! {
    all_backings:
        values_of_any_size_arrive_unchanged
        values_of_any_alignment_arrive_unchanged_and_aligned
        zero_size_values_are_counted
        byte_strings_up_to_max_length_arrive_unchanged
        adjacent_messages_in_full_ring_do_not_overlap
    ;
}

/// Bytes that differ between messages and between offsets in a message.
fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + seed * 31 + 1) as u8).collect()
}

/// Passes values of one type through a ring by copies, in place and in batches, for some laps.
fn assert_values_arrive<T: Pod, P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<T, P>::create(&name, 4).unwrap();
    assert_eq!(ring.message_size(), size_of::<T>());
    let mut producer = ring.producer().unwrap();
    let mut consumer = Ring::<T, P>::open(&name).unwrap().consumer().unwrap();
    let value = |seed| bytemuck::pod_read_unaligned::<T>(&pattern(size_of::<T>(), seed));
    let assert_is = |found: &T, seed| {
        let expected = value(seed);
        assert_eq!(bytemuck::bytes_of(found), bytemuck::bytes_of(&expected));
    };
    for seed in 0..6 {
        producer.try_push(&value(seed)).unwrap();
        let mut claim = producer.try_claim().unwrap();
        claim.write(&value(seed + 1));
        claim.commit();
        producer
            .push_slice(&[value(seed + 2), value(seed + 3)])
            .unwrap();
        assert!(ring.is_full());

        assert_is(&consumer.try_pop().unwrap(), seed);
        let guard = consumer.try_read().unwrap();
        assert_is(&guard.get(), seed + 1);
        // SAFETY: this test is the only peer.
        let in_place = unsafe { guard.get_ref() };
        assert_eq!((&raw const *in_place).addr() % align_of::<T>(), 0);
        assert_is(in_place, seed + 1);
        drop(guard);
        let mut rest = [T::zeroed(); 3];
        assert_eq!(consumer.try_pop_slice(&mut rest), Ok(2));
        assert_is(&rest[0], seed + 2);
        assert_is(&rest[1], seed + 3);
    }
}

fn values_of_any_size_arrive_unchanged<P: Protocol>() {
    macro_rules! sizes {
        ($($size:literal)*) => {$( assert_values_arrive::<[u8; $size], P>(); )*};
    }
    sizes!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 23 24 25 31 32 33 40 47 48 49 55 56 57);
    sizes!(63 64 65 71 72 73 95 96 97 111 112 120 121 127 128 129 136 160 183 184 191 192 199 200);
    sizes!(4088 4096 65_536);
}

fn values_of_any_alignment_arrive_unchanged_and_aligned<P: Protocol>() {
    macro_rules! aligned {
        ($($name:ident $align:literal $size:literal)*) => {$(
            #[derive(Clone, Copy, Pod, Zeroable)]
            #[repr(C, align($align))]
            struct $name([u8; $size]);
            assert_values_arrive::<$name, P>();
        )*};
    }
    aligned!(One 1 3  Two 2 6  Four 4 4  Eight 8 24  Sixteen 16 48  Line 64 128  TwoLines 128 128);
    aligned!(Quarter 1024 1024  Half 2048 4096  Page 4096 4096);
    assert_values_arrive::<u16, P>();
    assert_values_arrive::<f32, P>();
    assert_values_arrive::<u64, P>();
    assert_values_arrive::<i128, P>();
}

fn zero_size_values_are_counted<P: Protocol>() {
    assert_values_arrive::<(), P>();
    assert_values_arrive::<[u64; 0], P>();
    assert_values_arrive::<[u128; 0], P>();
    let name = Name::new();
    let ring = Ring::<(), P>::create(&name, 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    assert_eq!(producer.try_push_slice(&[(); 9]), Ok(4));
    assert_eq!(ring.len(), 4);
    assert_eq!(consumer.try_pop_append(&mut Vec::new(), 9), Ok(4));
    assert!(ring.is_empty());
}

fn byte_strings_up_to_max_length_arrive_unchanged<P: Protocol>() {
    for longest in (0..=200).chain([4095, 4096, 1 << 20]) {
        let name = Name::new();
        let ring = Ring::<[u8], P>::create_bytes(&name, 2, longest).unwrap();
        assert_eq!(ring.message_size(), longest);
        let mut producer = ring.producer().unwrap();
        let mut consumer = Ring::<[u8], P>::open(&name).unwrap().consumer().unwrap();
        let lengths = [
            longest,
            0,
            1,
            longest / 2,
            longest.saturating_sub(1),
            longest,
        ];
        for len in lengths.into_iter().filter(|&len| len <= longest) {
            let sent = pattern(len, longest);
            producer.try_push(&sent).unwrap();
            let mut claim = producer.try_claim().unwrap();
            claim.write_all(&sent).unwrap();
            claim.commit();
            assert_eq!(consumer.try_pop().unwrap(), sent);
            let guard = consumer.try_read().unwrap();
            assert_eq!((guard.len(), guard.is_empty()), (len, len == 0));
            assert_eq!(guard.get(), sent);
            // SAFETY: this test is the only peer.
            assert_eq!(unsafe { guard.as_slice() }, sent);
        }
        match producer.try_push(&pattern(longest + 1, 0)) {
            Err(TryPushError::TooLong(TooLong { len, max, .. })) => {
                assert_eq!((len, max), (longest + 1, longest));
            }
            other => panic!("{other:?}"),
        }
        assert!(ring.is_empty());
    }
}

fn adjacent_messages_in_full_ring_do_not_overlap<P: Protocol>() {
    for longest in [1, 7, 8, 9, 55, 56, 57] {
        let name = Name::new();
        let ring = Ring::<[u8], P>::create_bytes(&name, 8, longest).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let sent: Vec<_> = (0..8).map(|seed| pattern(longest, seed)).collect();
        producer.push_slice(&sent).unwrap();
        let mut popped = Vec::new();
        assert_eq!(consumer.pop_append(&mut popped, 8), Ok(8));
        assert_eq!(popped, sent);
    }
}
