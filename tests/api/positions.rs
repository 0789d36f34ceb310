//! Positions of any size, and rings that have used all of their positions.

use crate::rings::{next_consumer, next_producer};
use crate::support::kinds::is_mpmc;
use crate::support::names::Name;
use slipring::error::{PushError, TryPopError, TryPushError};
use slipring::{Mpmc, Options, Protocol, Ring};

for_each_kind! {
    all_backings:
        ring_works_across_wraps_from_any_first_position
    ;
}

fn ring_works_across_wraps_from_any_first_position<P: Protocol>() {
    let just_below = |wrap: u64| (0..9).map(move |below| wrap.wrapping_sub(below));
    // An MPMC ring has no positions after the last of these.
    let wraps = &[1 << 31, 1 << 32, 7 << 32, 0][..if is_mpmc::<P>() { 3 } else { 4 }];
    for capacity in [2, 4] {
        for first in wraps.iter().flat_map(|&wrap| just_below(wrap)) {
            let name = Name::new();
            let options = Options::new().capacity(capacity).first_position(first);
            let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
            let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
            let mut next = 0..;
            for step in 0..20 {
                let messages: Vec<u64> = next.by_ref().take(capacity).collect();
                producer.push_slice(&messages).unwrap();
                assert_eq!(producer.try_push(&0), Err(TryPushError::Full), "{first:#x}");
                assert_eq!(
                    (ring.len(), producer.len(), consumer.len()),
                    (capacity, capacity, capacity)
                );
                // Each seat in turn gets another holder, while the ring is full and while it is
                // empty.
                match step % 4 {
                    0 => producer = next_producer(producer, &ring),
                    1 => consumer = next_consumer(consumer, &ring),
                    _ => {}
                }
                assert_eq!(producer.try_push(&0), Err(TryPushError::Full), "{first:#x}");
                assert_eq!(
                    consumer.try_iter().collect::<Vec<_>>(),
                    messages,
                    "{first:#x}"
                );
                match step % 4 {
                    2 => producer = next_producer(producer, &ring),
                    3 => consumer = next_consumer(consumer, &ring),
                    _ => {}
                }
                assert_eq!(consumer.try_pop(), Err(TryPopError::Empty), "{first:#x}");
            }
        }
    }
}

#[test]
fn mpmc_ring_out_of_positions_drains_then_is_corrupt() {
    for left in 0..10_u64 {
        for capacity in [2, 4] {
            for batch in [1, 2, 3, 9] {
                let name = Name::new();
                let options = Options::new().capacity(capacity);
                let options = options.first_position((u64::MAX >> 1) - left);
                let ring = Ring::<u64, Mpmc>::create_with(&name, &options).unwrap();
                let (mut producer, mut consumer) =
                    (ring.producer().unwrap(), ring.consumer().unwrap());
                let messages = vec![7; batch];
                let mut pushed = 0;
                let mut popped = 0;
                let ended = loop {
                    match producer.try_push_slice(&messages) {
                        Ok(some) => pushed += some,
                        Err(TryPushError::Full) => popped += consumer.try_iter().count(),
                        Err(error) => break error,
                    }
                };
                assert!(matches!(ended, TryPushError::Corrupt(_)), "{ended:?}");
                assert!(matches!(producer.push(&1), Err(PushError::Corrupt(_))));
                popped += consumer.try_iter().count();
                assert_eq!(popped, pushed, "{left} {capacity} {batch}");
                // The ring refuses a batch that would pass the last position as a whole.
                assert!((left + 1).saturating_sub(batch as u64) < pushed as u64 + 1);
                assert!(pushed as u64 <= left);
                let at_the_end = consumer.try_pop();
                assert!(matches!(
                    at_the_end,
                    Err(TryPopError::Empty | TryPopError::Corrupt(_))
                ));
                drop((producer, consumer));
                ring.recover().unwrap();
                let (mut producer, mut consumer) =
                    (ring.producer().unwrap(), ring.consumer().unwrap());
                while producer.try_push(&1).is_ok() {}
                let _ = consumer.try_iter().count();
                assert!(ring.len() <= capacity);
            }
        }
    }
}
