//! The operations of an MPMC ring, and the dead participants that each of them finds.

use super::Drill;
use super::dead::DeadParticipant;
use super::mpmc::{Crowd, Plan};
use super::operations::Operation;
use super::watched::Watched;
use super::ways::Way;
use slipring::Delivery;

/// The default number of seats of each role.
const SEATS: u32 = 3;

macro_rules! drill {
    ($name:literal, $operation:expr $(, $dead:ident)*) => {
        drill!($name, $operation; AtLeastOnce, SEATS $(, $dead)*)
    };
    ($name:literal, $operation:expr; $delivery:ident, $consumers:expr $(, $dead:ident)*) => {
        Drill {
            name: concat!("mpmc ", $name),
            set_up: || {
                Box::new(Crowd::new(Plan {
                    operation: $operation,
                    dead: &[$(DeadParticipant::$dead),*],
                    delivery: Delivery::$delivery,
                    consumers: $consumers,
                }))
            },
        }
    };
}

pub(crate) const PUSHING: &[Drill] = &[
    drill!("try_push", Operation::Push(Way::One)),
    drill!("try_push_slice", Operation::Push(Way::Batch)),
    drill!("claim, commit", Operation::Push(Way::InPlace)),
    drill!("claim, dropped", Operation::Push(Way::Dropped)),
    drill!("push that sleeps", Operation::Push(Way::Blocked)),
    drill!("drop of a producer", Operation::Push(Way::Detach)),
];

pub(crate) const POPPING: &[Drill] = &[
    drill!("try_pop", Operation::Pop(Way::One)),
    drill!("try_pop_slice", Operation::Pop(Way::Batch)),
    drill!("read, dropped", Operation::Pop(Way::InPlace)),
    drill!(
        "read, put back, handle dropped",
        Operation::Pop(Way::Dropped)
    ),
    drill!("pop that sleeps", Operation::Pop(Way::Blocked)),
    drill!("drop of a consumer", Operation::Pop(Way::Detach)),
    drill!(
        "at-most-once try_pop",
        Operation::Pop(Way::One);
        AtMostOnce,
        SEATS
    ),
    drill!(
        "at-most-once try_pop_slice",
        Operation::Pop(Way::Batch);
        AtMostOnce,
        SEATS
    ),
];

pub(crate) const RECOVERING: &[Drill] = &[
    drill!("recover a batch", Operation::Recover, Batch),
    drill!(
        "recover a guard and a claim",
        Operation::Recover,
        Guard,
        Claim
    ),
    drill!("recover, at-most-once", Operation::Recover; AtMostOnce, SEATS, Guards),
    drill!(
        "try_push to a full ring finds a guard",
        Operation::PushToFull,
        Guard
    ),
    drill!(
        "producer() finds a claim",
        Operation::Push(Way::Attach),
        Claim
    ),
];

pub(crate) const INHERITING: &[Drill] = &[
    drill!("try_pop past a claim", Operation::Adopt, Claim),
    drill!("try_pop adopts a guard", Operation::Adopt, Guard),
    drill!("try_pop adopts a batch of guards", Operation::Adopt, Guards),
    drill!("only consumer() and try_pop", Operation::AttachAndPop; AtLeastOnce, 1, Rest),
];

// Long operations without steps of their own. They run in the full enumeration only.

pub(crate) const MORE_RECOVERING: &[Drill] = &[
    drill!("recover a claim", Operation::Recover, Claim),
    drill!("recover a guard", Operation::Recover, Guard),
    drill!("recover a batch of guards", Operation::Recover, Guards),
];

pub(crate) const ATTACHING: &[Drill] = &[
    drill!("producer()", Operation::Push(Way::Attach)),
    drill!("consumer()", Operation::Pop(Way::Attach)),
    drill!(
        "consumer() finds a guard",
        Operation::Pop(Way::Attach),
        Guard
    ),
    drill!("only consumer()", Operation::Pop(Way::Attach); AtLeastOnce, 1, Guards),
    drill!("only consumer() and try_pop, one guard", Operation::AttachAndPop; AtLeastOnce, 1, Guard),
    drill!("only consumer(), at-most-once", Operation::Pop(Way::Attach); AtMostOnce, 1, Guards),
];

macro_rules! watched {
    ($name:literal, $way:ident) => {
        Drill {
            name: concat!("mpmc ", $name, ", a consumer sleeps"),
            set_up: || Box::new(Watched::new(Way::$way)),
        }
    };
}

pub(crate) const WATCHED: &[Drill] = &[
    watched!("try_push", One),
    watched!("try_push_slice", Batch),
    watched!("claim, commit", InPlace),
    watched!("claim, dropped", Dropped),
];
