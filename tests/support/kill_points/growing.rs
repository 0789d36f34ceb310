//! The operations that make a ring grow, and those that move handles from one segment to the next.

use super::Drill;
use super::growth::Growth;
use super::ways::Way;
use slipring::{Mpmc, Spsc};

/// The operation of the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Grow,
    /// Grows the ring a second time, before any participant has left the first segment.
    GrowAgain,
    /// Grows the ring while another process closes it.
    GrowClosed,
    /// Begins in the old segment.
    Push(Way),
    Pop(Way),
    /// Runs in a ring that grows after the child was killed or stopped.
    PushInOld(Way),
    PopInOld(Way),
    /// Recovers what dead participants left in the old segment.
    Recover,
    /// Adopts it from the new segment.
    Adopt,
}

macro_rules! drills {
    ($visible:vis $name:ident: $($kind:ident $label:literal $operation:expr;)*) => {
        $visible const $name: &[Drill] = &[$(Drill {
            name: concat!(stringify!($kind), " ", $label),
            set_up: || Box::new(Growth::<$kind>::new($operation)),
        }),*];
    };
}

drills! { pub(crate) GROWING:
    Spsc "grow" Operation::Grow;
    Mpmc "grow" Operation::Grow;
}

drills! { pub(crate) PUSHING:
    Spsc "try_push into the next ring" Operation::Push(Way::One);
    Mpmc "try_push_slice into the next ring" Operation::Push(Way::Batch);
    Spsc "push that sleeps while it grows" Operation::Push(Way::Blocked);
}

drills! { pub(crate) POPPING:
    Spsc "try_pop from the next ring" Operation::Pop(Way::One);
    Mpmc "try_pop_slice from the next ring" Operation::Pop(Way::Batch);
    Mpmc "pop that sleeps while it grows" Operation::Pop(Way::Blocked);
}

drills! { pub(crate) LAGGING:
    Spsc "try_push in the old ring" Operation::PushInOld(Way::One);
    Mpmc "try_push in the old ring" Operation::PushInOld(Way::One);
    Mpmc "try_push_slice in the old ring" Operation::PushInOld(Way::Batch);
    Mpmc "claim, commit in the old ring" Operation::PushInOld(Way::InPlace);
    Spsc "read, dropped in the old ring" Operation::PopInOld(Way::InPlace);
    Mpmc "read, dropped in the old ring" Operation::PopInOld(Way::InPlace);
}

drills! { pub(crate) CLOSED:
    Spsc "grow, while it is closed" Operation::GrowClosed;
    Mpmc "grow, while it is closed" Operation::GrowClosed;
}

drills! { pub(crate) RECOVERING:
    Mpmc "recover two rings" Operation::Recover;
    Mpmc "try_pop adopts from the old ring" Operation::Adopt;
}

// Long operations with few steps of their own. The full enumeration kills them only around stores.

drills! { pub(crate) MORE_GROWING:
    Spsc "grow again" Operation::GrowAgain;
    Mpmc "grow again" Operation::GrowAgain;
}

drills! { pub(crate) MORE_PUSHING:
    Mpmc "try_push into the next ring" Operation::Push(Way::One);
    Spsc "try_push_slice into the next ring" Operation::Push(Way::Batch);
    Spsc "claim, commit in the next ring" Operation::Push(Way::InPlace);
    Mpmc "claim, commit in the next ring" Operation::Push(Way::InPlace);
    Spsc "claim, dropped in the next ring" Operation::Push(Way::Dropped);
    Mpmc "claim, dropped in the next ring" Operation::Push(Way::Dropped);
    Mpmc "push that sleeps while it grows" Operation::Push(Way::Blocked);
    Spsc "drop of a producer of the old ring" Operation::Push(Way::Detach);
    Mpmc "drop of a producer of the old ring" Operation::Push(Way::Detach);
    Spsc "producer() of two rings" Operation::Push(Way::Attach);
    Mpmc "producer() of two rings" Operation::Push(Way::Attach);
}

drills! { pub(crate) MORE_POPPING:
    Mpmc "try_pop from the next ring" Operation::Pop(Way::One);
    Spsc "try_pop_slice from the next ring" Operation::Pop(Way::Batch);
    Spsc "read, dropped in the next ring" Operation::Pop(Way::InPlace);
    Mpmc "read, dropped in the next ring" Operation::Pop(Way::InPlace);
    Spsc "read, put back in the next ring" Operation::Pop(Way::Dropped);
    Mpmc "read, put back in the next ring" Operation::Pop(Way::Dropped);
    Spsc "pop that sleeps while it grows" Operation::Pop(Way::Blocked);
    Spsc "drop of a consumer of the old ring" Operation::Pop(Way::Detach);
    Mpmc "drop of a consumer of the old ring" Operation::Pop(Way::Detach);
    Spsc "consumer() of two rings" Operation::Pop(Way::Attach);
    Mpmc "consumer() of two rings" Operation::Pop(Way::Attach);
}

// Operations with a child that continues after a stop, whatever state it then finds.

drills! { pub(crate) PAUSED:
    Spsc "grow" Operation::Grow;
    Mpmc "grow" Operation::Grow;
    Mpmc "try_push_slice into the next ring" Operation::Push(Way::Batch);
    Mpmc "read, dropped in the next ring" Operation::Pop(Way::InPlace);
}

drills! { pub(crate) MORE_PAUSED:
    Mpmc "grow again" Operation::GrowAgain;
    Spsc "try_push_slice into the next ring" Operation::Push(Way::Batch);
    Spsc "read, dropped in the next ring" Operation::Pop(Way::InPlace);
    Mpmc "drop of a consumer of the old ring" Operation::Pop(Way::Detach);
}
