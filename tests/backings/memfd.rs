//! Rings in memfds: sealed, transferred by descriptor, and inherited by forked children.

use crate::support::kinds::one_of_each;
use crate::support::{Name, TIME_LIMIT, fork_child, is_root, skip, until};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use slipring::error::{HandOverError, InvalidName, OpenError, ReceiveError, UnlinkError};
use slipring::{Backing, Options, Peer, Protocol, Ring, Spsc};
use std::fs::{self, File};
use std::io::{IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process;

for_each_kind! {
    memfd_ring_connects_parent_and_forked_child
    killed_forked_child_is_reported_and_its_seat_is_free
    transferred_ring_has_separate_seat_locks
    memfd_opened_twice_in_one_process_is_same_ring
}

const ALL_SEALS: SealFlag = SealFlag::F_SEAL_SHRINK
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_SEAL);

fn memfd_ring<P: Protocol>() -> Ring<u64, P> {
    Ring::create_with("memfd:", &one_of_each::<P>().capacity(4)).unwrap()
}

fn memfd_ring_connects_parent_and_forked_child<P: Protocol>() {
    let (there, back) = (memfd_ring::<P>(), memfd_ring::<P>());
    let child = fork_child(|| {
        assert!(matches!(
            there.consumer(),
            Err(slipring::error::AttachError::Forked(_))
        ));
        let (there, back) = (there.reopen().unwrap(), back.reopen().unwrap());
        let mut producer = back.producer().unwrap();
        for message in there.consumer().unwrap().iter() {
            producer.push(&(message + 1)).unwrap();
        }
    });
    let mut producer = there.producer().unwrap();
    let mut consumer = back.consumer().unwrap();
    for number in 0..100 {
        producer.push(&number).unwrap();
        assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(number + 1));
    }
    assert_eq!(producer.peer(), Ok(Peer::Present { pid: child.pid() }));
    drop(producer);
    child.finish();
    assert_eq!(consumer.peer(), Ok(Peer::Left));
}

fn killed_forked_child_is_reported_and_its_seat_is_free<P: Protocol>() {
    let ring = memfd_ring::<P>();
    let mut consumer = ring.consumer().unwrap();
    let mut child = fork_child(|| {
        let mut producer = ring.reopen().unwrap().producer().unwrap();
        producer.push(&7).unwrap();
        let _claim = producer.claim().unwrap();
        until("killed", || false);
    });
    let pid = child.pid();
    assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(7));
    assert_eq!(consumer.peer(), Ok(Peer::Present { pid }));
    assert!(ring.producer().is_err());
    child.kill_and_reap();
    assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
    ring.producer().unwrap().push(&8).unwrap();
    assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(8));
}

fn transferred_ring_has_separate_seat_locks<P: Protocol>() {
    let (here, there) = UnixStream::pair().unwrap();
    let mut child = fork_child(|| {
        let ring = Ring::<u64, P>::receive(&there).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push(&7).unwrap();
        until("killed", || false);
    });
    let ring = memfd_ring::<P>();
    ring.hand_over(&here).unwrap();
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(consumer.pop_timeout(TIME_LIMIT), Ok(7));
    // If both processes shared one open file description, each would own the other's locks.
    assert!(ring.producer().is_err());
    let pid = child.pid();
    assert_eq!(consumer.peer(), Ok(Peer::Present { pid }));
    child.kill_and_reap();
    assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
}

fn memfd_opened_twice_in_one_process_is_same_ring<P: Protocol>() {
    let ring = memfd_ring::<P>();
    let by_descriptor = Ring::<u64, P>::from_fd(ring.descriptor().unwrap()).unwrap();
    let number = ring.descriptor().unwrap().as_raw_fd();
    let by_text = Ring::<u64, P>::open(format!("memfd:{number}")).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = by_descriptor.consumer().unwrap();
    producer.push_slice(&[1, 2, 3]).unwrap();
    assert_eq!(by_text.len(), 3);
    // The ring does not depend on the descriptor from which it was opened.
    drop((ring, by_text));
    assert_eq!(consumer.pop(), Ok(1));
    drop(producer);
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn memfd_ring_cannot_be_resized_or_write_sealed() {
    let ring = memfd_ring::<Spsc>();
    let size = ring.memory_stat().unwrap().size;
    let peers = ring.descriptor().unwrap().try_clone_to_owned().unwrap();
    let child = fork_child(|| {
        let file = File::from(peers.try_clone().unwrap());
        for len in [0, size - 1, size + 1, 2 * size] {
            let refused = file.set_len(len).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(nix::libc::EPERM));
        }
        assert!(fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)).is_err());
    });
    child.finish();
    assert_eq!(File::from(peers).metadata().unwrap().len(), size);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for number in 0..10 {
        producer.push(&number).unwrap();
        assert_eq!(consumer.pop(), Ok(number));
    }
}

/// A memfd with the bytes of a ring, and the given seals.
fn copy_of(ring: &Ring<u64, Spsc>, seals: SealFlag) -> OwnedFd {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let copy = memfd_create("copy", flags).unwrap();
    let number = ring.descriptor().unwrap().as_raw_fd();
    let bytes = fs::read(format!("/proc/self/fd/{number}")).unwrap();
    File::from(copy.try_clone().unwrap())
        .write_all(&bytes)
        .unwrap();
    fcntl(&copy, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    copy
}

#[test]
fn open_requires_exact_memfd_seals() {
    let ring = memfd_ring::<Spsc>();
    let open = |descriptor: &OwnedFd| Ring::<u64, Spsc>::from_fd(descriptor);
    open(&copy_of(&ring, ALL_SEALS)).unwrap();
    for seals in [
        SealFlag::empty(),
        ALL_SEALS - SealFlag::F_SEAL_SHRINK,
        ALL_SEALS - SealFlag::F_SEAL_GROW,
        ALL_SEALS - SealFlag::F_SEAL_SEAL,
        ALL_SEALS | SealFlag::F_SEAL_FUTURE_WRITE,
    ] {
        let copy = copy_of(&ring, seals);
        let expected_name = format!("memfd:{}", copy.as_raw_fd());
        let error = open(&copy).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{expected_name} is sealed {:#x}, not 0x7", seals.bits())
        );
        assert!(
            matches!(error, OpenError::Seals { name, expected: 7, found, .. }
                if name == expected_name && found == seals.bits() as u32)
        );
    }
}

#[test]
fn open_of_object_that_is_no_sealed_ring_is_refused() {
    let from = |descriptor: BorrowedFd<'_>| Ring::<u64, Spsc>::from_fd(descriptor).unwrap_err();
    let named = Name::new("ring");
    let ring = Ring::<u64, Spsc>::create(&named, 2).unwrap();
    let file = File::open(named.path()).unwrap();
    for descriptor in [file.as_fd(), ring.descriptor().unwrap()] {
        // The kernel reports F_SEAL_SEAL for a tmpfs file that cannot be sealed.
        let error = from(descriptor);
        assert!(
            matches!(error, OpenError::Seals { found: 0 | 1, .. }),
            "{error}"
        );
    }
    let (reader, _writer) = nix::unistd::pipe().unwrap();
    assert!(matches!(from(reader.as_fd()), OpenError::NotARing { .. }));
    let null = File::open("/dev/null").unwrap();
    assert!(matches!(from(null.as_fd()), OpenError::NotARing { .. }));
    let (socket, _) = UnixStream::pair().unwrap();
    assert!(matches!(from(socket.as_fd()), OpenError::NotARing { .. }));
    let zeroes = memfd_create("zeroes", MFdFlags::MFD_ALLOW_SEALING).unwrap();
    File::from(zeroes.try_clone().unwrap())
        .set_len(8192)
        .unwrap();
    fcntl(&zeroes, FcntlArg::F_ADD_SEALS(ALL_SEALS)).unwrap();
    assert!(matches!(from(zeroes.as_fd()), OpenError::NotARing { .. }));
    let free = "memfd:999999";
    let error = Ring::<u64, Spsc>::open(free).unwrap_err();
    assert!(
        matches!(error, OpenError::NotFound { ref name, .. } if name == free),
        "{error}"
    );
}

#[test]
fn sealed_memfd_of_wrong_size_is_refused() {
    let ring = memfd_ring::<Spsc>();
    for by in [-4096_i64, -1, 1, 4096] {
        let copy = copy_of(&ring, SealFlag::empty());
        let size = ring
            .memory_stat()
            .unwrap()
            .size
            .checked_add_signed(by)
            .unwrap();
        File::from(copy.try_clone().unwrap()).set_len(size).unwrap();
        fcntl(&copy, FcntlArg::F_ADD_SEALS(ALL_SEALS)).unwrap();
        let error = Ring::<u64, Spsc>::from_fd(&copy).unwrap_err();
        match by {
            ..0 => assert!(matches!(error, OpenError::Truncated { found, .. } if found == size)),
            _ => assert!(matches!(
                error,
                OpenError::Inconsistent {
                    field: "total_len",
                    ..
                }
            )),
        }
    }
}

#[test]
fn memfd_ring_cannot_be_opened_or_unlinked_by_name() {
    let none = Ring::<u64, Spsc>::open("memfd:").unwrap_err();
    assert!(matches!(none, OpenError::NotFound { ref name, .. } if name == "memfd:"));
    let ring = Ring::<u64, Spsc>::open_or_create("memfd:", 4).unwrap();
    assert!(matches!(
        slipring::unlink("memfd:"),
        Err(UnlinkError::InvalidName(InvalidName { .. }))
    ));
    let own = Backing::descriptor(ring.descriptor().unwrap());
    assert!(slipring::unlink(&own).is_err());
    assert!(matches!(
        Ring::<u64, Spsc>::create(&own, 4),
        Err(slipring::error::CreateError::InvalidName(_))
    ));
}

#[test]
fn datagram_socket_transfers_ring() {
    let (here, there) = UnixDatagram::pair().unwrap();
    let ring = memfd_ring::<Spsc>();
    ring.hand_over(&here).unwrap();
    ring.producer().unwrap().push(&7).unwrap();
    let same = Ring::<u64, Spsc>::receive(&there).unwrap();
    assert_eq!(same.consumer().unwrap().pop(), Ok(7));
    ring.hand_over(&here).unwrap();
    let other = Ring::<u64, Spsc>::receive_with(&there, &Options::new().capacity(8)).unwrap_err();
    assert!(
        matches!(other, ReceiveError::Open(OpenError::Capacity { .. })),
        "{other}"
    );
}

#[test]
fn transfer_of_named_ring_is_refused() {
    let name = Name::new("ring");
    let ring = Ring::<u64, Spsc>::create(&name, 4).unwrap();
    let (here, _there) = UnixStream::pair().unwrap();
    assert!(matches!(ring.hand_over(&here), Err(HandOverError::Named)));
    drop(_there);
    let gone = memfd_ring::<Spsc>().hand_over(&here).unwrap_err();
    assert!(matches!(gone, HandOverError::System(_)), "{gone}");
}

#[test]
fn receive_of_wrong_descriptors_reports_and_closes_them() {
    let (here, there) = UnixStream::pair().unwrap();
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let receive = || Ring::<u64, Spsc>::receive(&there).unwrap_err();
    let send = |descriptors: &[i32]| {
        let rights = [ControlMessage::ScmRights(descriptors)];
        let data = [IoSlice::new(b"x")];
        sendmsg::<()>(here.as_raw_fd(), &data, &rights, MsgFlags::empty(), None).unwrap();
    };
    let ring = memfd_ring::<Spsc>();
    let number = ring.descriptor().unwrap().as_raw_fd();
    // Other tests open and close descriptors concurrently, but fewer than 100.
    for count in [2, 253] {
        let before = open();
        send(&vec![number; count]);
        let error = receive();
        assert!(matches!(error, ReceiveError::Descriptors { found, .. } if found == count));
        assert!(open() < before + 100);
    }
    (&here).write_all(b"x").unwrap();
    assert!(matches!(
        receive(),
        ReceiveError::Descriptors { found: 0, .. }
    ));
    let null = File::open("/dev/null").unwrap();
    send(&[null.as_raw_fd()]);
    assert!(matches!(
        receive(),
        ReceiveError::Open(OpenError::NotARing { .. })
    ));
    drop(here);
    assert!(matches!(receive(), ReceiveError::Closed));
}

/// The number of open descriptors of this process.
fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

#[test]
fn receive_above_descriptor_limit_closes_all_descriptors() {
    fork_child(|| {
        // Other tests may hold hundreds of descriptors at the fork, which alone would exceed the
        // limit.
        // SAFETY: closes descriptors of this process, which does not use them afterwards.
        unsafe { nix::libc::syscall(nix::libc::SYS_close_range, 3, u32::MAX, 0) };
        let (here, there) = UnixStream::pair().unwrap();
        let many = [here.as_raw_fd(); 200];
        let data = [IoSlice::new(b"R")];
        let rights = [ControlMessage::ScmRights(&many)];
        sendmsg::<()>(here.as_raw_fd(), &data, &rights, MsgFlags::empty(), None).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 100, 100).unwrap();
        let before = open_descriptors();
        let refused = Ring::<u64, Spsc>::receive(&there).unwrap_err();
        assert_eq!(open_descriptors(), before, "{refused}");
        let none = matches!(refused, ReceiveError::System(_));
        assert!(none, "{refused}");
    })
    .finish();
}

#[test]
fn open_of_terminal_descriptor_is_refused_without_opening() {
    fork_child(|| {
        nix::unistd::setsid().unwrap();
        let master = File::options()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NOCTTY)
            .open("/dev/ptmx")
            .unwrap();
        let (number, unlocked) = (master.as_raw_fd(), 0_i32);
        // SAFETY: TIOCSPTLCK reads a number.
        unsafe { nix::libc::ioctl(number, nix::libc::TIOCSPTLCK, &raw const unlocked) };
        let flags = nix::libc::O_RDWR | nix::libc::O_NOCTTY;
        // SAFETY: TIOCGPTPEER takes a number.
        let terminal = unsafe { nix::libc::ioctl(number, nix::libc::TIOCGPTPEER, flags) };
        assert!(terminal >= 0);
        let refused = Ring::<u64, Spsc>::open(format!("memfd:{terminal}")).unwrap_err();
        assert!(matches!(refused, OpenError::NotARing { .. }), "{refused}");
        let controlling = File::open("/dev/tty");
        assert!(
            controlling.is_err(),
            "a hangup of a controlling terminal would end this process"
        );
    })
    .finish();
}

#[test]
fn memfd_mode_controls_access_by_other_user() {
    if !is_root() {
        return skip("this test needs root");
    }
    let closed = memfd_ring::<Spsc>();
    let options = Options::new().capacity(4).mode(0o666);
    let open = Ring::<u64, Spsc>::create_with("memfd:", &options).unwrap();
    let mode = |ring: &Ring<u64, Spsc>| {
        let file = File::from(ring.descriptor().unwrap().try_clone_to_owned().unwrap());
        file.metadata().unwrap().permissions().mode() & 0o7777
    };
    assert_eq!((mode(&closed), mode(&open)), (0o600, 0o666));
    let mut consumer = open.consumer().unwrap();
    fork_child(|| {
        // SAFETY: takes a number; this process has one thread.
        assert_eq!(unsafe { nix::libc::setuid(65534) }, 0);
        let refused = closed.reopen().unwrap_err();
        assert!(matches!(refused, OpenError::System(_)), "{refused}");
        let refused = Ring::<u64, Spsc>::from_fd(closed.descriptor().unwrap()).unwrap_err();
        assert!(matches!(refused, OpenError::Permission { .. }), "{refused}");
        let ring = Ring::<u64, Spsc>::from_fd(open.descriptor().unwrap()).unwrap();
        ring.producer()
            .unwrap()
            .push(&u64::from(process::id()))
            .unwrap();
    })
    .finish();
    consumer.pop().unwrap();
}

#[test]
fn memfd_descriptor_is_close_on_exec() {
    let ring = memfd_ring::<Spsc>();
    let flags = fcntl(ring.descriptor().unwrap(), FcntlArg::F_GETFD).unwrap();
    assert_ne!(flags & nix::libc::FD_CLOEXEC, 0);
    let (here, there) = UnixStream::pair().unwrap();
    ring.hand_over(&here).unwrap();
    let received = Ring::<u64, Spsc>::receive(&there).unwrap();
    let flags = fcntl(received.descriptor().unwrap(), FcntlArg::F_GETFD).unwrap();
    assert_ne!(flags & nix::libc::FD_CLOEXEC, 0);
}

#[test]
fn lock_on_sent_descriptor_is_visible_to_receiver() {
    let (here, there) = UnixStream::pair().unwrap();
    let ring = memfd_ring::<Spsc>();
    let shared = ring.descriptor().unwrap().try_clone_to_owned().unwrap();
    ring.hand_over(&here).unwrap();
    let received = Ring::<u64, Spsc>::receive(&there).unwrap();
    let consumer = received.consumer().unwrap();
    assert_eq!(consumer.peer(), Ok(Peer::NeverCame));
    let seat = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as i16,
        l_whence: nix::libc::SEEK_SET as i16,
        l_start: 0x400,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&shared, FcntlArg::F_OFD_SETLK(&seat)).unwrap();
    assert!(matches!(consumer.peer(), Ok(Peer::Present { .. })));
}
