//! Any bytes as an object, in every backing. Opening succeeds or is refused. A ring that opens is
//! used.

use super::choices::Choices;
use super::within_steps;
use crate::support::backings::{BackingKind, with_backing};
use crate::support::kinds::is_mpmc;
use crate::support::names::Name;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use slipring::error::{AttachError, ObserveError, OpenError, RecoverError};
use slipring::{Backing, Message, Mpmc, Observer, Protocol, Ring, Spsc, spsc};
use std::fs::File;
use std::os::unix::fs::FileExt;

const PAGE: u64 = 4096;

/// The capacities of rings in System V segments, and the sizes of the segments.
const SEGMENTS: [(usize, u64); 3] = [(2, 2 * PAGE), (512, 3 * PAGE), (1024, 5 * PAGE)];

pub(crate) fn run(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let place = choices.below(4);
    let size = choices.byte();
    let content = choices.rest();
    let size = match u64::from(size) {
        0 => content.len() as u64,
        pages => pages * PAGE,
    };
    let content = &content[..content.len().min(size as usize)];
    match place {
        0 => {
            let name = Name::new();
            let file = File::create_new(name.path()).unwrap();
            fill(&file, content, size);
            judge(&name, size);
        }
        1 => {
            let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
            let file = File::from(memfd_create("a trial", flags).unwrap());
            fill(&file, content, size);
            let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
            fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
            judge(Backing::descriptor(&file).as_str(), size);
        }
        2 => with_backing(BackingKind::File, || {
            let name = Name::new();
            let file = File::create_new(name.path()).unwrap();
            fill(&file, content, size);
            judge(&name, size);
        }),
        _ => with_backing(BackingKind::SystemV, || {
            let name = Name::new();
            let (capacity, size) = SEGMENTS[(size / PAGE) as usize % SEGMENTS.len()];
            drop(spsc::Ring::<u64>::create(&name, capacity).unwrap());
            // Opening waits for an object that is being created.
            if content.get(..8).is_some_and(|magic| magic != [0; 8]) {
                fill_segment(&name, content);
            }
            judge(&name, size);
        }),
    }
}

fn fill(file: &File, content: &[u8], size: u64) {
    file.set_len(size).unwrap();
    file.write_all_at(content, 0).unwrap();
}

fn fill_segment(name: &str, content: &[u8]) {
    let key = name.strip_prefix("sysv:0x").unwrap();
    let key = u32::from_str_radix(key, 16).unwrap() as i32;
    // SAFETY: the call takes numbers only.
    let id = unsafe { libc::shmget(key, 0, 0) };
    // SAFETY: the kernel chooses the address.
    let at = unsafe { libc::shmat(id, std::ptr::null(), 0) }.cast::<u8>();
    assert_ne!(at as isize, -1);
    let len = content.len().min(2 * PAGE as usize);
    // SAFETY: the smallest ring has two pages, and no other process has attached the segment.
    unsafe { at.copy_from_nonoverlapping(content.as_ptr(), len) };
    // SAFETY: the segment was attached above.
    unsafe { libc::shmdt(at.cast()) };
}

fn judge(name: &str, size: u64) {
    let most = steps_for(name, size);
    judge_as::<u64, Spsc>(name, &[1, 2, 3, 4, 5, 6, 7], most);
    judge_as::<u64, Mpmc>(name, &[1, 2, 3, 4, 5, 6, 7], most);
    judge_as::<[u8], Spsc>(name, &[b"a".to_vec(), vec![], vec![7; 40]], most);
    judge_as::<[u8], Mpmc>(name, &[b"a".to_vec(), vec![], vec![7; 40]], most);
    match within_steps(most, "recover", || slipring::recover(name)) {
        Ok(recovery) => assert!(recovery.settled <= size / 128),
        Err(RecoverError::Open(error)) => check(&error),
        // Recovery may find that a segment is corrupt which the object claims to have.
        Err(RecoverError::Corrupt(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Reads the object as an observer, and returns how many steps a participant may need.
fn steps_for(name: &str, size: u64) -> u64 {
    let observer = match Observer::open(name) {
        Ok(observer) => observer,
        Err(error) => {
            check(&error);
            return 0;
        }
    };
    let snapshot = match observer.snapshot() {
        Ok(snapshot) => snapshot,
        // The next segment is invalid. Assume as many seats and slots as fit into the object.
        Err(ObserveError::Corrupt(_) | ObserveError::Truncated { .. }) => {
            return steps(size / 128, size / 8);
        }
        Err(error) => panic!("{error}"),
    };
    let capacity = snapshot
        .segments
        .iter()
        .map(|segment| segment.capacity)
        .sum();
    assert!(snapshot.len() <= capacity && snapshot.size == size);
    let mut message = Vec::new();
    for position in [
        snapshot.head,
        snapshot.tail,
        snapshot.first_position,
        u64::MAX,
    ] {
        match observer.peek(position, &mut message) {
            Ok(_) => assert!(message.len() <= snapshot.message_size as usize),
            Err(ObserveError::Truncated { .. } | ObserveError::Corrupt(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    steps(snapshot.seats.len() as u64, capacity)
}

fn steps(seats: u64, capacity: u64) -> u64 {
    // A recovery compares each seat with each other seat, and visits all positions of each intent.
    let recovery = seats * (seats + 2 * capacity.min(4096) + 8);
    1000 + 8 * capacity + 4 * recovery
}

fn check(error: &OpenError) {
    assert!(!matches!(error, OpenError::System(_)), "{error}");
    assert!(!error.to_string().is_empty());
}

fn judge_as<M: Message + ?Sized, P: Protocol>(name: &str, messages: &[M::Owned], most: u64) {
    let ring = match within_steps(most, "open", || Ring::<M, P>::open(name)) {
        Ok(ring) => ring,
        Err(error) => return check(&error),
    };
    let capacity = ring.capacity();
    let _ = ring.len();
    let is_sysv = name.starts_with("sysv:");
    let refuse = |error| match error {
        AttachError::Corrupt(_) => {}
        AttachError::Undecided { .. } if is_mpmc::<P>() => {}
        // The number of semaphores is that of the seats of the first segment.
        AttachError::System(_) if is_sysv => {}
        error => panic!("{error}"),
    };
    let producer = within_steps(most, "producer", || ring.producer());
    let mut producer = producer.map_err(refuse).ok();
    if let Some(producer) = &mut producer {
        within_steps(most, "push", || {
            let _ = producer.try_push_slice(messages);
            let _ = producer.try_claim().map(drop);
        });
        assert!(producer.len() <= capacity);
    }
    let consumer = within_steps(most, "consumer", || ring.consumer());
    if let Ok(mut consumer) = consumer.map_err(refuse) {
        let popped = within_steps(most, "pop", || consumer.try_iter().take(9).count());
        assert!(popped <= capacity && consumer.len() <= capacity);
        let mut many = Vec::new();
        let _ = within_steps(most, "pop many", || consumer.try_pop_append(&mut many, 9));
        assert!(many.len() <= capacity);
    }
    within_steps(most, "drop", || drop(producer));
}
