//! What becomes of the kernel's refusals: the variant, what its fields say, and how it reads.

use crate::support::kinds::one_of_each;
use crate::support::names::Name;
use crate::support::seccomp;
use core::time::Duration;
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::statvfs::statvfs;
use slipring::error::{
    AttachError, CreateError, OpenError, SystemError, TryPushError, UnlinkError,
};
use slipring::{Fences, Options, Peer, Protocol, Ring, Spsc, unlink};
use std::os::unix::fs::FileExt;
use std::process;
use std::thread;
use std::time::Instant;

for_each_kind! {
    memory_and_files:
        a_kernel_that_does_not_answer_has_not_proved_a_death
    ;
    all_backings:
        a_fence_that_is_withdrawn_later_loses_no_wake_up
    ;
}

const OPEN: &[i64] = &[
    libc::SYS_openat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
];
const UNLINK: &[i64] = &[
    libc::SYS_unlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
];

#[test]
fn what_the_kernel_does_not_permit_is_told() {
    let (name, free) = (Name::new(), Name::new());
    let (told, told_free) = (&*name, &*free);
    Ring::<u64, Spsc>::create(&name, 2).unwrap();
    for errno in [Errno::EACCES, Errno::EPERM] {
        seccomp::refusing(OPEN, errno, || {
            is!(Ring::<u64, Spsc>::open(&name).unwrap_err(),
                OpenError::Permission { name: ref of, .. } if of == told,
                "no permission to open {told}");
            is!(Ring::<u64, Spsc>::create(&free, 2).unwrap_err(),
                CreateError::Permission { name: ref of, .. } if of == told_free,
                "no permission to create {told_free}");
        });
        seccomp::refusing(&[libc::SYS_linkat], errno, || {
            is!(Ring::<u64, Spsc>::create(&free, 2).unwrap_err(),
                CreateError::Permission { name: ref of, .. } if of == told_free,
                "no permission to create {told_free}");
        });
        seccomp::refusing(UNLINK, errno, || {
            is!(unlink(&name).unwrap_err(),
                UnlinkError::Permission { name: ref of, .. } if of == told,
                "no permission to remove {told}");
        });
    }
    seccomp::refusing(OPEN, Errno::EROFS, || {
        is!(Ring::<u64, Spsc>::open(&name).unwrap_err(),
            OpenError::ReadOnly { name: ref of, .. } if of == told,
            "{told} is on a read-only file system");
        is!(Ring::<u64, Spsc>::create(&free, 2).unwrap_err(),
            CreateError::ReadOnly { name: ref of, .. } if of == told_free,
            "{told_free} is on a read-only file system");
    });
    seccomp::refusing(UNLINK, Errno::EROFS, || {
        is!(unlink(&name).unwrap_err(),
            UnlinkError::ReadOnly { name: ref of, .. } if of == told,
            "{told} is on a read-only file system");
    });
    assert!(name.path().exists() && !free.path().exists());
}

#[test]
fn other_refusals_of_the_kernel_are_told_with_their_call() {
    let name = Name::new();
    let ring = Ring::<u64, Spsc>::create(&name, 2).unwrap();
    let free = Name::new();
    let told = |error: SystemError, call: &str, errno: Errno| {
        assert_eq!(error.call, call);
        assert_eq!(error.source.raw_os_error(), Some(errno as i32));
        assert_eq!(error.to_string(), format!("{call}: {}", error.source));
    };
    seccomp::refusing(OPEN, Errno::EMFILE, || {
        match Ring::<u64, Spsc>::open(&name) {
            Err(OpenError::System(error)) => told(error, "open", Errno::EMFILE),
            other => panic!("{other:?}"),
        }
        match Ring::<u64, Spsc>::create(&free, 2) {
            Err(CreateError::System(error)) => told(error, "open", Errno::EMFILE),
            other => panic!("{other:?}"),
        }
        match ring.producer() {
            Err(AttachError::System(error)) => told(error, "open", Errno::EMFILE),
            other => panic!("{other:?}"),
        }
    });
    for (number, call, errno) in [
        (libc::SYS_fallocate, "fallocate", Errno::EOPNOTSUPP),
        (libc::SYS_fchmod, "fchmod", Errno::EIO),
        (libc::SYS_linkat, "linkat", Errno::EIO),
        (libc::SYS_fstatfs, "fstatfs", Errno::ENOSYS),
    ] {
        seccomp::refusing(&[number], errno, || {
            match Ring::<u64, Spsc>::create(&free, 2) {
                Err(CreateError::System(error)) => told(error, call, errno),
                other => panic!("{other:?}"),
            }
        });
    }
    seccomp::refusing(&[libc::SYS_fcntl], Errno::EINVAL, || {
        match ring.producer() {
            Err(AttachError::System(error)) => told(error, "fcntl", Errno::EINVAL),
            other => panic!("{other:?}"),
        }
    });
    seccomp::refusing(UNLINK, Errno::EIO, || match unlink(&name) {
        Err(UnlinkError::System(error)) => told(error, "unlink", Errno::EIO),
        other => panic!("{other:?}"),
    });
    assert!(ring.producer().is_ok() && !free.path().exists());
}

fn a_kernel_that_does_not_answer_has_not_proved_a_death<P: Protocol>() {
    const CONSUMER: u64 = 0x480;
    const FIRST_STAY_UNENDED: [u8; 4] = [5, 0, 0, 0];
    let name = Name::new();
    let ring = Ring::<u64, P>::create_with(&name, &one_of_each::<P>().capacity(2)).unwrap();
    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    drop(ring.consumer().unwrap());
    // As if it had died.
    name.file()
        .write_all_at(&FIRST_STAY_UNENDED, CONSUMER)
        .unwrap();
    seccomp::refusing(&[libc::SYS_fcntl], Errno::ENOLCK, || {
        assert_eq!(producer.peer(), Ok(Peer::Present { pid: process::id() }));
        assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    });
    assert_eq!(producer.peer(), Ok(Peer::Died { pid: process::id() }));
}

#[test]
fn fences_that_are_not_available_are_refused_or_chosen_otherwise() {
    let (symmetric, expedited, free) = (Name::new(), Name::new(), Name::new());
    let with = |fences| Options::new().capacity(2).fences(fences);
    if Ring::<u64, Spsc>::create_with(&expedited, &with(Fences::Membarrier)).is_err() {
        return eprintln!("skipped: this kernel has no expedited membarrier");
    }
    seccomp::refusing(&[libc::SYS_membarrier], Errno::EPERM, || {
        is!(Ring::<u64, Spsc>::create_with(&free, &with(Fences::Membarrier)).unwrap_err(),
            CreateError::Fences { asked: Fences::Membarrier, .. } if true,
            "membarrier fences are not available to this process");
        is!(Ring::<u64, Spsc>::open(&expedited).unwrap_err(),
            OpenError::FencesUnavailable { found: Fences::Membarrier, .. } if true,
            "the ring has membarrier fences, which are not available to this process");
        Ring::<u64, Spsc>::create(&symmetric, 2).unwrap();
        Ring::<u64, Spsc>::open_with(&symmetric, &with(Fences::Symmetric)).unwrap();
    });
    let unset = Name::new();
    Ring::<u64, Spsc>::create(&unset, 2).unwrap();
    Ring::<u64, Spsc>::open_with(&unset, &with(Fences::Membarrier)).unwrap();
}

fn a_fence_that_is_withdrawn_later_loses_no_wake_up<P: Protocol>() {
    let name = Name::new();
    let options = Options::new()
        .capacity(2)
        .liveness_interval(Duration::from_secs(20));
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..50 {
                thread::sleep(Duration::from_millis(1));
                producer.push(&i).unwrap();
            }
        });
        seccomp::refusing(&[libc::SYS_membarrier], Errno::EPERM, || {
            assert_eq!(
                consumer.iter().take(50).collect::<Vec<_>>(),
                (0..50).collect::<Vec<_>>()
            );
        });
    });
    // No single sleep lasted until its interval was over.
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_ring_that_does_not_fit_is_told_with_its_size() {
    const SLOTS: u64 = 2 * 16;
    let size = 0x1000 + SLOTS.next_multiple_of(4096);
    let free = Name::new();
    let told = &*free;
    for errno in [Errno::ENOSPC, Errno::ENOMEM, Errno::EDQUOT, Errno::EFBIG] {
        seccomp::refusing(&[libc::SYS_fallocate], errno, || {
            let error = Ring::<u64, Spsc>::create(&free, 2).unwrap_err();
            let text = error.to_string();
            let CreateError::NoSpace {
                name,
                needed,
                available,
                ..
            } = error
            else {
                panic!("{error:?}");
            };
            assert_eq!((&*name, needed), (told, size));
            assert_ne!(available, 0);
            assert_eq!(
                text,
                format!("no space for {told}: {size} bytes are needed, {available} are available")
            );
        });
    }
    let shm = statvfs("/dev/shm").unwrap();
    let whole = shm.blocks() * shm.fragment_size();
    if whole == 0 || whole > 1 << 38 {
        return eprintln!("skipped: /dev/shm is not limited to less than this would take");
    }
    match Ring::<[u8], Spsc>::create(&free, 1 << 30, 504).unwrap_err() {
        CreateError::NoSpace {
            needed, available, ..
        } => {
            assert_eq!(needed, (1 << 39) + 0x1000);
            assert!(available <= whole, "{available} of {whole}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!free.path().exists());
}

#[test]
fn a_ring_above_the_file_size_limit_is_refused_and_not_punished_with_a_signal() {
    // Far above what any other test asks for, since the limit is the process's.
    const LIMIT: u64 = 1 << 40;
    let free = Name::new();
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, LIMIT.min(hard), hard).unwrap();
    let error = Ring::<[u8], Spsc>::create(&free, 1 << 21, 1 << 20).unwrap_err();
    setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();
    let size = 0x1000 + (1 << 21) * ((1 << 20) + 8);
    is!(error, CreateError::FileSizeLimit { needed, limit, .. } if (needed, limit) == (size, LIMIT.min(hard)),
        "the ring needs {size} bytes, the file size limit is {}", LIMIT.min(hard));
}
