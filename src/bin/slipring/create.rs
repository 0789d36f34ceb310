//! `slipring create`.

use super::args::{Create, Delivery, Fences, HugePages, Kind};
use super::failure::Failure;
use slipring::{Options, mpmc, spsc};

pub(crate) fn run(asked: &Create) -> Result<(), Failure> {
    if asked.ring.as_str() == "memfd:" {
        return Err(Failure::of(
            &asked.ring,
            "a memfd goes with the process that makes it",
        ));
    }
    let options = options(asked);
    let made = match asked.kind {
        Kind::Spsc => spsc::Ring::<[u8]>::create_with(&asked.ring, &options).map(drop),
        Kind::Mpmc => mpmc::Ring::<[u8]>::create_with(&asked.ring, &options).map(drop),
    };
    made.map_err(|error| Failure::new(error.to_string()))
}

fn options(asked: &Create) -> Options {
    let mut options = Options::new()
        .capacity(asked.size.capacity)
        .message_size(asked.size.message_size)
        .unlink_when_left(asked.unlink_when_left);
    if let Some(bits) = asked.mode {
        options = options.mode(bits);
    }
    if let Some(tag) = asked.schema {
        options = options.schema(tag);
    }
    if let Some(interval) = asked.liveness_interval {
        options = options.liveness_interval(interval);
    }
    if let Some(fences) = asked.fences {
        options = options.fences(match fences {
            Fences::Membarrier => slipring::Fences::Membarrier,
            Fences::Symmetric => slipring::Fences::Symmetric,
        });
    }
    if let Some(seats) = asked.producers {
        options = options.producers(seats);
    }
    if let Some(seats) = asked.consumers {
        options = options.consumers(seats);
    }
    if let Some(delivery) = asked.delivery {
        options = options.delivery(match delivery {
            Delivery::AtLeastOnce => slipring::Delivery::AtLeastOnce,
            Delivery::AtMostOnce => slipring::Delivery::AtMostOnce,
        });
    }
    if let Some(user) = asked.owner {
        options = options.owner(user);
    }
    if let Some(pages) = asked.huge_pages {
        options = options.huge_pages(match pages {
            HugePages::Advised => slipring::HugePages::Advised,
            HugePages::Reserved => slipring::HugePages::Reserved,
        });
    }
    options
}
