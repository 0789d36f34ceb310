//! `create` and `rm`.

use crate::program::run;
use crate::support::Name;
use slipring::{Delivery, Kind, Observer, mpmc};
use std::fs;
use std::time::Duration;

#[test]
fn create_with_all_options_sets_each_property() {
    let name = Name::in_memory("create");
    let asked = "--kind mpmc --capacity 100 --message-size 10 --mode 0640 --schema 0x51 \
                 --liveness-interval 0.25 --fences symmetric --producers 3 --consumers 2 \
                 --delivery at-most-once --unlink-when-left --huge-pages advised";
    let arguments: Vec<_> = ["create", &name]
        .into_iter()
        .chain(asked.split_ascii_whitespace())
        .collect();
    run(&arguments).success();
    let made = Observer::open(&name).unwrap().snapshot().unwrap();
    assert_eq!(
        (made.kind, made.capacity, made.message_size),
        (Kind::Mpmc, 128, 10)
    );
    assert_eq!((made.mode, made.schema, made.seats.len()), (0o640, 0x51, 5));
    assert_eq!(made.liveness_interval, Duration::from_millis(250));
    assert_eq!(made.fences, slipring::Fences::Symmetric);
    assert_eq!(
        (made.delivery, made.unlink_when_left),
        (Delivery::AtMostOnce, true)
    );
    run(&arguments).failure(1, &format!("{name} already exists"));
    run(&["create", "/slipring-test-never", "--capacity", "1"])
        .failure(1, "capacity: found 1, expected 2 to 1073741824 messages");
    assert_eq!(
        run(&["create", "/slipring-test-never", "--mode", "9"]).status,
        Some(2)
    );
}

#[test]
fn rm_of_ring_in_use_requires_force() {
    let name = Name::in_memory("rm");
    let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
    let producer = ring.producer().unwrap();
    let refused = format!("{name}: in use (live participants: 1); --force removes its name");
    run(&["rm", &name]).failure(1, &refused);
    run(&["rm", "--force", &name]).success();
    run(&["rm", &name]).failure(1, &format!("{name}: no such ring"));
    drop(producer);
    mpmc::Ring::<u64>::create(&name, 4).unwrap();
    run(&["rm", &name]).success();
    assert!(!name.path().exists());
}

#[test]
fn rm_force_of_object_that_is_not_a_ring_is_refused() {
    let name = Name::in_memory("rm");
    fs::write(name.path(), "something else").unwrap();
    run(&["rm", "--force", &name]).failure(1, &format!("{name}: not a ring"));
    assert!(name.path().exists());
}
