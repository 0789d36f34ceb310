//! The operations of an MPMC ring, and the dead participants that each of them finds.

use super::Drill;
use super::deeds::Deed;
use super::doomed::Doomed;
use super::mpmc::{Crowd, Plan};
use super::watched::Watched;
use super::ways::Way;
use slipring::Delivery;

/// The default number of seats of each role.
const SEATS: u32 = 3;

macro_rules! drill {
    ($name:literal, $deed:expr $(, $doomed:ident)*) => {
        drill!($name, $deed; AtLeastOnce, SEATS $(, $doomed)*)
    };
    ($name:literal, $deed:expr; $delivery:ident, $consumers:expr $(, $doomed:ident)*) => {
        Drill {
            name: concat!("mpmc ", $name),
            set_up: || {
                Box::new(Crowd::new(Plan {
                    deed: $deed,
                    doomed: &[$(Doomed::$doomed),*],
                    delivery: Delivery::$delivery,
                    consumers: $consumers,
                }))
            },
        }
    };
}

pub(crate) const PUSHING: &[Drill] = &[
    drill!("try_push", Deed::Push(Way::One)),
    drill!("try_push_slice", Deed::Push(Way::Batch)),
    drill!("claim, commit", Deed::Push(Way::InPlace)),
    drill!("claim, dropped", Deed::Push(Way::Dropped)),
    drill!("push that sleeps", Deed::Push(Way::Blocked)),
    drill!("drop of a producer", Deed::Push(Way::Detach)),
];

pub(crate) const POPPING: &[Drill] = &[
    drill!("try_pop", Deed::Pop(Way::One)),
    drill!("try_pop_slice", Deed::Pop(Way::Batch)),
    drill!("read, dropped", Deed::Pop(Way::InPlace)),
    drill!("read, put back, handle dropped", Deed::Pop(Way::Dropped)),
    drill!("pop that sleeps", Deed::Pop(Way::Blocked)),
    drill!("drop of a consumer", Deed::Pop(Way::Detach)),
    drill!(
        "at-most-once try_pop",
        Deed::Pop(Way::One);
        AtMostOnce,
        SEATS
    ),
    drill!(
        "at-most-once try_pop_slice",
        Deed::Pop(Way::Batch);
        AtMostOnce,
        SEATS
    ),
];

pub(crate) const RECOVERING: &[Drill] = &[
    drill!("recover a batch", Deed::Recover, Batch),
    drill!("recover a guard and a claim", Deed::Recover, Guard, Claim),
    drill!("recover, at-most-once", Deed::Recover; AtMostOnce, SEATS, Guards),
    drill!(
        "try_push to a full ring finds a guard",
        Deed::PushToFull,
        Guard
    ),
    drill!("producer() finds a claim", Deed::Push(Way::Attach), Claim),
];

pub(crate) const INHERITING: &[Drill] = &[
    drill!("try_pop past a claim", Deed::Adopt, Claim),
    drill!("try_pop adopts a guard", Deed::Adopt, Guard),
    drill!("try_pop adopts a batch of guards", Deed::Adopt, Guards),
    drill!("only consumer() and try_pop", Deed::AttachAndPop; AtLeastOnce, 1, Rest),
];

// Long operations without steps of their own. They run in the full enumeration only.

pub(crate) const MORE_RECOVERING: &[Drill] = &[
    drill!("recover a claim", Deed::Recover, Claim),
    drill!("recover a guard", Deed::Recover, Guard),
    drill!("recover a batch of guards", Deed::Recover, Guards),
];

pub(crate) const ATTACHING: &[Drill] = &[
    drill!("producer()", Deed::Push(Way::Attach)),
    drill!("consumer()", Deed::Pop(Way::Attach)),
    drill!("consumer() finds a guard", Deed::Pop(Way::Attach), Guard),
    drill!("only consumer()", Deed::Pop(Way::Attach); AtLeastOnce, 1, Guards),
    drill!("only consumer() and try_pop, one guard", Deed::AttachAndPop; AtLeastOnce, 1, Guard),
    drill!("only consumer(), at-most-once", Deed::Pop(Way::Attach); AtMostOnce, 1, Guards),
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
