//! A process that was killed while it made an SPSC ring grow. The test writes the state into the
//! ring that the kill would leave, because no kill can be repeated at this instruction.

use crate::support::{ASLEEP_AT_ONCE, Name, until};
use slipring::spsc::Ring;
use slipring::{Observer, Options};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

/// The offset of the word that links the first segment to the next one.
const NEXT_SEGMENT: u64 = 0x328;
/// The offset of the word with the flag that asks the producer to end the first segment.
const CLOSING: u64 = 0x280;

/// The process was killed after it had stored the link, and before it set the flag. A push that was
/// blocked then continues in the next segment, and its producer leaves. Its successor finds no
/// flag. If it pushed to the first segment, behind the end marker, its message would be lost.
#[test]
fn spsc_attach_finishes_interrupted_growth() {
    let name = Name::new("interrupted");
    // No liveness check repairs the ring during the test.
    let options = Options::new()
        .capacity(4)
        .liveness_interval(Duration::from_secs(20))
        .wait(ASLEEP_AT_ONCE);
    let grown = Ring::<u64>::create_with(&name, &options).unwrap();
    grown.grow(8).unwrap();
    drop(grown);
    let file = name.file();
    let mut link = [0; 8];
    file.read_exact_at(&mut link, NEXT_SEGMENT).unwrap();
    assert_ne!(link, [0; 8]);
    file.write_all_at(&[0; 8], NEXT_SEGMENT).unwrap();
    file.write_all_at(&[0; 4], CLOSING).unwrap();

    let wait = Options::new().wait(ASLEEP_AT_ONCE);
    let ring = Ring::<u64>::open_with(&name, &wait).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for number in 1..=4 {
        producer.push(&number).unwrap();
    }
    let observer = Observer::open(&name).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || producer.push(&5).unwrap());
        until("the push sleeps", || {
            observer.snapshot().unwrap().producers.may_sleep
        });
        file.write_all_at(&link, NEXT_SEGMENT).unwrap();
        assert_eq!(consumer.pop(), Ok(1));
    });
    let mut closing = [0; 4];
    file.read_exact_at(&mut closing, CLOSING).unwrap();
    assert_eq!(closing, [0; 4], "the growth is not finished yet");
    assert_eq!(consumer.pop(), Ok(2));

    ring.producer().unwrap().push(&6).unwrap();
    let popped: Vec<_> = consumer.try_iter().collect();
    assert_eq!(popped, [3, 4, 5, 6]);
}
