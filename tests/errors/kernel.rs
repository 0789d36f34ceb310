//! Errors because of refused system calls: the variant, its fields and its text.

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
        failed_lock_query_does_not_prove_a_death
    ;
    all_backings:
        membarrier_refused_after_attach_loses_no_wake_up
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
fn kernel_refusal_maps_to_permission_or_read_only_error() {
    let (name, free) = (Name::new(), Name::new());
    let (used, unused) = (&*name, &*free);
    Ring::<u64, Spsc>::create(&name, 2).unwrap();
    for errno in [Errno::EACCES, Errno::EPERM] {
        seccomp::with_refused_calls(OPEN, errno, || {
            is!(Ring::<u64, Spsc>::open(&name).unwrap_err(),
                OpenError::Permission { name: ref found, .. } if found == used,
                "no permission to open {used}");
            is!(Ring::<u64, Spsc>::create(&free, 2).unwrap_err(),
                CreateError::Permission { name: ref found, .. } if found == unused,
                "no permission to create {unused}");
        });
        seccomp::with_refused_calls(&[libc::SYS_linkat], errno, || {
            is!(Ring::<u64, Spsc>::create(&free, 2).unwrap_err(),
                CreateError::Permission { name: ref found, .. } if found == unused,
                "no permission to create {unused}");
        });
        seccomp::with_refused_calls(UNLINK, errno, || {
            is!(unlink(&name).unwrap_err(),
                UnlinkError::Permission { name: ref found, .. } if found == used,
                "no permission to remove {used}");
        });
    }
    seccomp::with_refused_calls(OPEN, Errno::EROFS, || {
        is!(Ring::<u64, Spsc>::open(&name).unwrap_err(),
            OpenError::ReadOnly { name: ref found, .. } if found == used,
            "{used} is on a read-only file system");
        is!(Ring::<u64, Spsc>::create(&free, 2).unwrap_err(),
            CreateError::ReadOnly { name: ref found, .. } if found == unused,
            "{unused} is on a read-only file system");
    });
    seccomp::with_refused_calls(UNLINK, Errno::EROFS, || {
        is!(unlink(&name).unwrap_err(),
            UnlinkError::ReadOnly { name: ref found, .. } if found == used,
            "{used} is on a read-only file system");
    });
    assert!(name.path().exists() && !free.path().exists());
}

fn assert_call_and_errno(error: &SystemError, call: &str, errno: Errno) {
    assert_eq!(error.call, call);
    assert_eq!(error.source.raw_os_error(), Some(errno as i32));
    assert_eq!(error.to_string(), format!("{call}: {}", error.source));
}

macro_rules! assert_system_error {
    ($result:expr, $error:ident, $call:expr, $errno:expr) => {
        match $result {
            Err($error::System(error)) => assert_call_and_errno(&error, $call, $errno),
            other => panic!("{other:?}"),
        }
    };
}

#[test]
fn other_kernel_refusals_return_system_error_with_call() {
    let name = Name::new();
    let ring = Ring::<u64, Spsc>::create(&name, 2).unwrap();
    let free = Name::new();
    seccomp::with_refused_calls(OPEN, Errno::EMFILE, || {
        assert_system_error!(
            Ring::<u64, Spsc>::open(&name),
            OpenError,
            "open",
            Errno::EMFILE
        );
        assert_system_error!(
            Ring::<u64, Spsc>::create(&free, 2),
            CreateError,
            "open",
            Errno::EMFILE
        );
        assert_system_error!(ring.producer(), AttachError, "open", Errno::EMFILE);
    });
    for (number, call, errno) in [
        (libc::SYS_fallocate, "fallocate", Errno::EOPNOTSUPP),
        (libc::SYS_fchmod, "fchmod", Errno::EIO),
        (libc::SYS_linkat, "linkat", Errno::EIO),
        (libc::SYS_fstatfs, "fstatfs", Errno::ENOSYS),
    ] {
        seccomp::with_refused_calls(&[number], errno, || {
            assert_system_error!(
                Ring::<u64, Spsc>::create(&free, 2),
                CreateError,
                call,
                errno
            );
        });
    }
    seccomp::with_refused_calls(&[libc::SYS_fcntl], Errno::EINVAL, || {
        assert_system_error!(ring.producer(), AttachError, "fcntl", Errno::EINVAL);
    });
    seccomp::with_refused_calls(UNLINK, Errno::EIO, || {
        assert_system_error!(unlink(&name), UnlinkError, "unlink", Errno::EIO);
    });
    assert!(ring.producer().is_ok() && !free.path().exists());
}

fn failed_lock_query_does_not_prove_a_death<P: Protocol>() {
    const CONSUMER: u64 = 0x480;
    const FIRST_HOLDER_ATTACHED: [u8; 4] = [5, 0, 0, 0];
    let name = Name::new();
    let ring = Ring::<u64, P>::create_with(&name, &one_of_each::<P>().capacity(2)).unwrap();
    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    drop(ring.consumer().unwrap());
    // The consumer's lock is free, as if the consumer had died.
    name.file()
        .write_all_at(&FIRST_HOLDER_ATTACHED, CONSUMER)
        .unwrap();
    seccomp::with_refused_calls(&[libc::SYS_fcntl], Errno::ENOLCK, || {
        assert_eq!(producer.peer(), Ok(Peer::Present { pid: process::id() }));
        assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    });
    assert_eq!(producer.peer(), Ok(Peer::Died { pid: process::id() }));
}

#[test]
fn unavailable_fences_are_refused_or_replaced() {
    let (symmetric, expedited, free) = (Name::new(), Name::new(), Name::new());
    let with = |fences| Options::new().capacity(2).fences(fences);
    if Ring::<u64, Spsc>::create_with(&expedited, &with(Fences::Membarrier)).is_err() {
        return eprintln!("skipped: this kernel has no expedited membarrier");
    }
    seccomp::with_refused_calls(&[libc::SYS_membarrier], Errno::EPERM, || {
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

fn membarrier_refused_after_attach_loses_no_wake_up<P: Protocol>() {
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
        seccomp::with_refused_calls(&[libc::SYS_membarrier], Errno::EPERM, || {
            assert_eq!(
                consumer.iter().take(50).collect::<Vec<_>>(),
                (0..50).collect::<Vec<_>>()
            );
        });
    });
    // No sleep lasted until its liveness interval elapsed.
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn create_without_space_reports_needed_and_available() {
    const SLOTS: u64 = 2 * 16;
    let size = 0x1000 + SLOTS.next_multiple_of(4096);
    let free = Name::new();
    let unused = &*free;
    for errno in [Errno::ENOSPC, Errno::ENOMEM, Errno::EDQUOT, Errno::EFBIG] {
        seccomp::with_refused_calls(&[libc::SYS_fallocate], errno, || {
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
            assert_eq!((&*name, needed), (unused, size));
            assert_ne!(available, 0);
            assert_eq!(
                text,
                format!(
                    "no space for {unused}: {size} bytes are needed, {available} are available"
                )
            );
        });
    }
    let shm = statvfs("/dev/shm").unwrap();
    let whole = shm.blocks() * shm.fragment_size();
    if whole == 0 || whole > 1 << 38 {
        return eprintln!("skipped: /dev/shm has no limit below the size of this ring");
    }
    match Ring::<[u8], Spsc>::create_bytes(&free, 1 << 30, 504).unwrap_err() {
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
fn create_above_file_size_limit_fails_without_signal() {
    // The limit applies to the whole process, so it is far above the size of other tests' rings.
    const LIMIT: u64 = 1 << 40;
    let free = Name::new();
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, LIMIT.min(hard), hard).unwrap();
    let error = Ring::<[u8], Spsc>::create_bytes(&free, 1 << 21, 1 << 20).unwrap_err();
    setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();
    let size = 0x1000 + (1 << 21) * ((1 << 20) + 8);
    let expected = (size, LIMIT.min(hard));
    is!(error,
        CreateError::FileSizeLimit { needed, limit, .. } if (needed, limit) == expected,
        "the ring needs {size} bytes, the file size limit is {}", LIMIT.min(hard));
}
