//! Push and pop of both kinds of ring, each in a function of its own.
//!
//! `cargo run -p xtask -- aarch64` inspects their instructions: on that processor a missing memory
//! ordering is visible.

use crate::support::names::Name;
use slipring::{Consumer, Mpmc, Options, Producer, Ring, Spsc};

type Message = [u64; 3];

macro_rules! probes {
    ($push:ident, $pop:ident, $kind:ident) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $push(producer: &mut Producer<Message, $kind>, message: &Message) -> bool {
            producer.try_push(message).is_ok()
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $pop(consumer: &mut Consumer<Message, $kind>, message: &mut Message) -> bool {
            consumer.try_pop_into(message).is_ok()
        }
    };
}

probes!(probe_spsc_push, probe_spsc_pop, Spsc);
probes!(probe_mpmc_push, probe_mpmc_pop, Mpmc);

macro_rules! deliver {
    ($push:ident, $pop:ident, $kind:ident) => {
        let name = Name::new();
        let options = Options::new().capacity(4);
        let ring = Ring::<Message, $kind>::create_with(&name, &options).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        for number in 0..9 {
            assert!($push(&mut producer, &[number; 3]));
            let mut message = [0; 3];
            assert!($pop(&mut consumer, &mut message));
            assert_eq!(message, [number; 3]);
        }
    };
}

#[test]
fn probe_functions_deliver_messages() {
    deliver!(probe_spsc_push, probe_spsc_pop, Spsc);
    deliver!(probe_mpmc_push, probe_mpmc_pop, Mpmc);
}
