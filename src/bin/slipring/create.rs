//! `slipring create`.

use super::args::{Create, Delivery, Fences, HugePages, Kind};
use super::failure::Failure;
use slipring::{Options, mpmc, spsc};

pub(crate) fn run(args: &Create) -> Result<(), Failure> {
    if args.ring.as_str() == "memfd:" {
        return Err(Failure::of(
            &args.ring,
            "a new memfd is freed when this process exits: use /name or file:/path",
        ));
    }
    let options = options(args);
    let created = match args.kind {
        Kind::Spsc => spsc::Ring::<[u8]>::create_with(&args.ring, &options).map(drop),
        Kind::Mpmc => mpmc::Ring::<[u8]>::create_with(&args.ring, &options).map(drop),
    };
    created.map_err(|error| Failure::new(error.to_string()))
}

fn options(args: &Create) -> Options {
    let mut options = Options::new()
        .capacity(args.size.capacity)
        .message_size(args.size.message_size)
        .unlink_when_left(args.unlink_when_left);
    if let Some(bits) = args.mode {
        options = options.mode(bits);
    }
    if let Some(tag) = args.schema {
        options = options.schema(tag);
    }
    if let Some(interval) = args.liveness_interval {
        options = options.liveness_interval(interval);
    }
    if let Some(fences) = args.fences {
        options = options.fences(match fences {
            Fences::Membarrier => slipring::Fences::Membarrier,
            Fences::Symmetric => slipring::Fences::Symmetric,
        });
    }
    if let Some(seats) = args.producers {
        options = options.producers(seats);
    }
    if let Some(seats) = args.consumers {
        options = options.consumers(seats);
    }
    if let Some(delivery) = args.delivery {
        options = options.delivery(match delivery {
            Delivery::AtLeastOnce => slipring::Delivery::AtLeastOnce,
            Delivery::AtMostOnce => slipring::Delivery::AtMostOnce,
        });
    }
    if let Some(user) = args.owner {
        options = options.owner(user);
    }
    if let Some(pages) = args.huge_pages {
        options = options.huge_pages(match pages {
            HugePages::Advised => slipring::HugePages::Advised,
            HugePages::Reserved => slipring::HugePages::Reserved,
        });
    }
    options
}
