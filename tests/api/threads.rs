//! Producers and consumers in threads that share one mapping, which a race detector can observe.

use crate::support::ASLEEP_AT_ONCE;
use crate::support::kinds::{is_mpmc, one_of_each};
use crate::support::names::Name;
use slipring::{Consumer, Fences, Mpmc, Options, Producer, Protocol, Ring, WaitStrategy};
use std::thread;

for_each_kind! {
    values_pass_between_threads_in_order
    byte_strings_pass_between_threads_in_order
    new_threads_reattach_and_continue_in_order
}

const MESSAGES: u64 = 400;

/// Several words, so that a torn message is detected.
type Message = [u64; 5];

fn message(number: u64) -> Message {
    [number, !number, number, !number, number]
}

fn number(found: &Message) -> u64 {
    assert_eq!(*found, message(found[0]), "torn");
    found[0]
}

fn rings<P: Protocol>() -> impl Iterator<Item = Options> {
    let fences = [Fences::Membarrier, Fences::Symmetric];
    let waits = [WaitStrategy::default(), ASLEEP_AT_ONCE];
    let all = fences.map(|fences| waits.map(|wait| (fences, wait)));
    all.into_iter().flatten().map(|(fences, wait)| {
        let options = one_of_each::<P>().capacity(4).wait(wait);
        options.fences(fences)
    })
}

/// Pushes with each of the calls in turn.
fn push_all<P: Protocol>(producer: &mut Producer<Message, P>, numbers: std::ops::Range<u64>) {
    let mut next = numbers.start;
    while next < numbers.end {
        let many: Vec<_> = (next..numbers.end.min(next + 3)).map(message).collect();
        match next % 3 {
            0 => producer.push(&many[0]).unwrap(),
            1 => {
                let mut claim = producer.claim().unwrap();
                claim.write(&many[0]);
                claim.commit();
            }
            _ => {
                producer.push_slice(&many).unwrap();
                next += many.len() as u64 - 1;
            }
        }
        next += 1;
    }
}

/// Pops with each of the calls in turn, until no producer is attached.
fn pop_all<P: Protocol>(consumer: &mut Consumer<Message, P>) -> Vec<u64> {
    let mut popped = Vec::new();
    let mut room = [message(0); 3];
    loop {
        match popped.len() % 3 {
            0 => match consumer.pop() {
                Ok(message) => popped.push(number(&message)),
                Err(_) => return popped,
            },
            1 => match consumer.read() {
                Ok(guard) => popped.push(number(&guard.get())),
                Err(_) => return popped,
            },
            _ => match consumer.pop_slice(&mut room) {
                Ok(several) => popped.extend(room[..several].iter().map(number)),
                Err(_) => return popped,
            },
        }
    }
}

fn values_pass_between_threads_in_order<P: Protocol>() {
    for options in rings::<P>() {
        let name = Name::new();
        let ring = Ring::<Message, P>::create_with(&name, &options).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        thread::scope(|scope| {
            scope.spawn(move || push_all(&mut producer, 0..MESSAGES));
            let popped = scope.spawn(move || pop_all(&mut consumer));
            let popped = popped.join().unwrap();
            assert_eq!(popped, (0..MESSAGES).collect::<Vec<_>>());
        });
    }
}

fn byte_strings_pass_between_threads_in_order<P: Protocol>() {
    let text = |number: u64| vec![number as u8; number as usize % 100];
    for options in rings::<P>() {
        let name = Name::new();
        let ring = Ring::<[u8], P>::create_with(&name, &options.message_size(100)).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    producer.push(&text(number)).unwrap();
                }
            });
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    if number % 2 == 0 {
                        assert_eq!(consumer.pop().unwrap(), text(number));
                    } else {
                        assert_eq!(consumer.read().unwrap().get(), text(number));
                    }
                }
            });
        });
    }
}

fn new_threads_reattach_and_continue_in_order<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<Message, P>::create_with(&name, &one_of_each::<P>().capacity(4)).unwrap();
    let mut popped = Vec::new();
    for turn in 0..20 {
        // Each turn attaches new handles, which continue where the previous ones stopped.
        let two = thread::scope(|scope| {
            let (ring, first) = (&ring, 2 * turn);
            scope.spawn(move || push_all(&mut ring.producer().unwrap(), first..first + 2));
            let popping = scope.spawn(move || {
                let mut consumer = ring.consumer().unwrap();
                [(); 2].map(|()| {
                    loop {
                        // The producer may not have attached yet, or may have detached already.
                        if let Ok(message) = consumer.try_pop() {
                            break number(&message);
                        }
                        thread::yield_now();
                    }
                })
            });
            popping.join().unwrap()
        });
        popped.extend(two);
    }
    assert_eq!(popped, (0..40).collect::<Vec<_>>());
    assert!(ring.is_empty());
}

#[test]
fn many_threads_receive_each_message_once_in_order() {
    assert!(is_mpmc::<Mpmc>());
    for (fences, wait) in [
        (Fences::Membarrier, WaitStrategy::default()),
        (Fences::Symmetric, ASLEEP_AT_ONCE),
    ] {
        let name = Name::new();
        let options = Options::new().capacity(4).fences(fences).wait(wait);
        let ring = Ring::<Message, Mpmc>::create_with(&name, &options).unwrap();
        let mut producers = [0, 1, 2].map(|_| Some(ring.producer().unwrap()));
        let mut consumers = [0, 1, 2].map(|_| Some(ring.consumer().unwrap()));
        let mut popped = thread::scope(|scope| {
            for (number, producer) in (0..).zip(&mut producers) {
                let mut producer = producer.take().unwrap();
                let first = number * MESSAGES;
                scope.spawn(move || push_all(&mut producer, first..first + MESSAGES));
            }
            let popping = consumers.each_mut().map(|consumer| {
                let mut consumer = consumer.take().unwrap();
                scope.spawn(move || pop_all(&mut consumer))
            });
            popping.map(|popping| popping.join().unwrap())
        });
        for popped in &mut popped {
            // Each consumer receives the messages of each producer in order.
            popped.sort_by_key(|number| number / MESSAGES);
            assert!(popped.is_sorted());
        }
        let mut all = popped.concat();
        all.sort_unstable();
        assert_eq!(all, (0..3 * MESSAGES).collect::<Vec<_>>());
    }
}
