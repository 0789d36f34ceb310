//! Rings in System V segments: a key that exists before the ring is complete, and seat locks that
//! are semaphores.

use crate::support;
use crate::support::backings::{BackingKind, with_backing};
use crate::support::{Name, SharedWords, fork_child, is_root, skip, start, until};
use nix::errno::Errno;
use nix::libc::{self, c_int, c_long};
use nix::sched::{CloneFlags, unshare};
use slipring::error::{AttachError, CreateError, OpenError, TryPopError, UnlinkError};
use slipring::spsc::Ring;
use slipring::{Backing, Options, Peer, mpmc};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{self, Command};
use std::ptr;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

const IPC: c_int = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
/// The indexes of the semaphores of a set that are not seat locks.
const MARK: u16 = 0;
const CREATOR: u16 = 1;
const DRAFT: u16 = 2;
const MARKED: i16 = 0x5352;

fn name() -> Name {
    let mut name = None;
    with_backing(BackingKind::SystemV, || name = Some(Name::new("ring")));
    name.unwrap()
}

fn key(name: &str) -> c_int {
    let digits = name.strip_prefix("sysv:0x").unwrap();
    u32::from_str_radix(digits, 16).unwrap() as c_int
}

/// The id of the segment with the key in a name.
fn segment(name: &str) -> Result<c_int, Errno> {
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::shmget(key(name), 0, 0) })
}

/// The id of the semaphore set with the key in a name.
fn semaphores(name: &str) -> Result<c_int, Errno> {
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::semget(key(name), 0, 0) })
}

fn make_segment(name: &str, size: usize) -> c_int {
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::shmget(key(name), size, IPC) }).unwrap()
}

fn make_semaphores(name: &str, count: c_int) -> c_int {
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::semget(key(name), count, IPC) }).unwrap()
}

fn remove_semaphores(set: c_int) {
    // SAFETY: IPC_RMID takes no further argument.
    Errno::result(unsafe { libc::semctl(set, 0, libc::IPC_RMID) }).unwrap();
}

fn remove_segment(id: c_int) {
    // SAFETY: IPC_RMID takes no pointer.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) }).unwrap();
}

fn add(set: c_int, steps: &[(u16, i16)]) {
    let operation = |&(sem_num, sem_op)| libc::sembuf {
        sem_num,
        sem_op,
        sem_flg: libc::SEM_UNDO as i16 * i16::from(sem_num != MARK && sem_num != DRAFT),
    };
    let mut operations: Vec<_> = steps.iter().map(operation).collect();
    // SAFETY: the pointer and the length are those of one vector.
    let done = unsafe { libc::semop(set, operations.as_mut_ptr(), operations.len()) };
    Errno::result(done).unwrap();
}

#[test]
fn sysv_ring_opens_by_key_and_id_and_leaves_nothing() {
    let name = name();
    let options = Options::new().capacity(4).mode(0o640);
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let id = segment(&name).unwrap();
    let stat = ring.memory_stat().unwrap();
    assert_eq!((stat.size, stat.mode), (8192, 0o640));
    assert!(ring.descriptor().is_none());
    let key = u32::from_str_radix(name.strip_prefix("sysv:0x").unwrap(), 16).unwrap();
    let by_number = Ring::<u64>::open(Backing::sysv(key).unwrap()).unwrap();
    let by_decimal = Ring::<u64>::open(format!("sysv:{key}")).unwrap();
    let by_id = Ring::<u64>::open(format!("sysv:id:{id}")).unwrap();
    ring.producer().unwrap().push(&7).unwrap();
    assert_eq!((by_decimal.len(), by_id.len()), (1, 1));
    assert_eq!(by_number.consumer().unwrap().pop(), Ok(7));
    slipring::unlink(&name).unwrap();
    assert_eq!(segment(&name), Err(Errno::ENOENT));
    // The ring stays usable for processes that have it open, also through reopen.
    let reopened = by_id.reopen().unwrap();
    let mut producer = ring.producer().unwrap();
    producer.push(&8).unwrap();
    assert_eq!(reopened.consumer().unwrap().pop(), Ok(8));
    drop((ring, by_number, by_decimal, by_id, reopened));
    assert!(semaphores(&name).is_ok(), "a producer is still attached");
    drop(producer);
    assert_eq!(semaphores(&name), Err(Errno::ENOENT));
    let gone = Ring::<u64>::open(format!("sysv:id:{id}")).unwrap_err();
    assert!(matches!(gone, OpenError::NotFound { .. }), "{gone}");
    assert!(matches!(
        slipring::unlink(&name),
        Err(UnlinkError::NotFound { .. })
    ));
}

#[test]
fn invalid_sysv_and_memfd_numbers_are_rejected() {
    for (text, reason) in [
        ("sysv:", "it has no key"),
        ("sysv:0x", "it has no key"),
        ("sysv:0x123456789", "it has no key"),
        ("sysv:+1", "it has no key"),
        ("sysv:0x+1", "it has no key"),
        ("sysv:-1", "it has no key"),
        ("sysv:ring", "it has no key"),
        ("sysv:0", "key 0 is everybody's"),
        ("sysv:0x0", "key 0 is everybody's"),
        ("sysv:id:", "it has no id"),
        ("sysv:id:-1", "it has no id"),
        ("memfd:-1", "it has no descriptor's number"),
        ("memfd:x", "it has no descriptor's number"),
    ] {
        let OpenError::InvalidName(invalid) = Ring::<u64>::open(text).unwrap_err() else {
            panic!("{text}");
        };
        assert_eq!((&*invalid.name, invalid.reason), (text, reason));
        assert!(text.parse::<Backing>().is_err());
    }
    for (text, canonical) in [
        ("sysv:10", "sysv:0xa"),
        ("sysv:0xFFFFFFFF", "sysv:0xffffffff"),
        ("sysv:4294967295", "sysv:0xffffffff"),
        ("sysv:id:007", "sysv:id:7"),
        ("memfd:", "memfd:"),
        ("memfd:5", "memfd:5"),
        ("/name", "/name"),
        ("file:a/b", "file:a/b"),
    ] {
        assert_eq!(text.parse::<Backing>().unwrap().to_string(), canonical);
    }
}

/// Installs a filter by which the kernel kills this process when it makes the system call.
fn kill_at_call(call: c_long) {
    let instruction = |code: u32, jf, k| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf,
        k,
    };
    let mut program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call as u32),
        instruction(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_KILL_PROCESS,
        ),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: prctl takes numbers here.
    let failed = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(failed, 0);
    // SAFETY: the kernel copies the program during the call, and the program outlives the call.
    let failed = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    };
    assert_eq!(failed, 0);
}

#[test]
fn create_replaces_partial_ring_of_killed_creator() {
    for (call, has_segment) in [
        (libc::SYS_semtimedop, false),
        (libc::SYS_shmget, false),
        (libc::SYS_shmat, true),
        (libc::SYS_madvise, true),
    ] {
        let name = name();
        let mut child = fork_child(|| {
            kill_at_call(call);
            let _ring = Ring::<u64>::create(&name, 4);
        });
        child.reap();
        let pid = child.pid();
        let has_semaphores = call != libc::SYS_shmget;
        assert_eq!(semaphores(&name).is_ok(), has_semaphores, "call {call}");
        assert_eq!(segment(&name).is_ok(), has_segment, "call {call}");
        match Ring::<u64>::open(&name).unwrap_err() {
            OpenError::Unfinished {
                name: reported,
                creator,
                ..
            } if has_segment => {
                assert_eq!((&*reported, creator), (&*name, pid));
            }
            OpenError::NotFound { .. } if !has_segment => {}
            other => panic!("{other}, call {call}"),
        }
        // An MPMC ring needs more semaphores than the set of the killed creator has.
        let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
        ring.producer().unwrap().push(&7).unwrap();
        assert_eq!(
            mpmc::Ring::<u64>::open(&name)
                .unwrap()
                .consumer()
                .unwrap()
                .pop(),
            Ok(7)
        );
    }
}

#[test]
fn create_replaces_marked_semaphores_without_segment() {
    let name = name();
    let set = make_semaphores(&name, 6);
    add(set, &[(MARK, MARKED)]);
    mpmc::Ring::<u64>::create(&name, 4).unwrap();
    assert_ne!(semaphores(&name), Ok(set));
}

#[test]
fn open_or_create_replaces_partial_ring_of_killed_creator() {
    let name = name();
    let mut child = fork_child(|| {
        kill_at_call(libc::SYS_shmat);
        let _ring = Ring::<u64>::create(&name, 4);
    });
    child.reap();
    let ring = Ring::<u64>::open_or_create(&name, 8).unwrap();
    assert_eq!(ring.capacity(), 8);
}

#[test]
fn unfinished_ring_of_live_creator_is_kept_and_reported() {
    let name = name();
    // The state that a stopped creator leaves. This process acts as the creator, and is alive.
    let set = make_semaphores(&name, 6);
    add(set, &[(MARK, MARKED), (CREATOR, 1)]);
    add(set, &[(DRAFT, 1)]);
    let id = make_segment(&name, 8192);
    let own = process::id();
    match Ring::<u64>::open(&name).unwrap_err() {
        OpenError::Unfinished {
            name: reported,
            creator,
            ..
        } => {
            assert_eq!((&*reported, creator), (&*name, own));
        }
        other => panic!("{other}"),
    }
    match Ring::<u64>::create(&name, 4).unwrap_err() {
        CreateError::Unfinished {
            name: reported,
            creator,
            ..
        } => {
            assert_eq!((&*reported, creator), (&*name, own));
        }
        other => panic!("{other}"),
    }
    assert_eq!(segment(&name), Ok(id), "the ring of a live creator is kept");
    // The kernel would undo this step if the creator died.
    add(set, &[(CREATOR, -1)]);
    Ring::<u64>::create(&name, 4).unwrap();
    assert_ne!(segment(&name), Ok(id));
}

#[test]
fn open_during_create_returns_complete_ring() {
    for _ in 0..20 {
        let name = name();
        thread::scope(|scope| {
            let opener = scope.spawn(|| {
                let mut opened = Ring::<[u64; 64]>::open(&name);
                while matches!(opened, Err(OpenError::NotFound { .. })) {
                    opened = Ring::open(&name);
                }
                opened.unwrap().capacity()
            });
            let _ring = Ring::<[u64; 64]>::create(&name, 1024).unwrap();
            assert_eq!(opener.join().unwrap(), 1024);
        });
    }
}

#[test]
fn foreign_segment_and_semaphores_are_left_unchanged() {
    let name = name();
    let id = make_segment(&name, 8192);
    assert!(matches!(
        Ring::<u64>::open(&name),
        Err(OpenError::NotARing { .. })
    ));
    assert!(matches!(
        Ring::<u64>::create(&name, 4),
        Err(CreateError::Exists { .. })
    ));
    assert_eq!(segment(&name), Ok(id));
    slipring::unlink(&name).unwrap();

    // Semaphores of another program: in use, or fewer than a ring's set has.
    for (count, steps) in [(6, &[(3, 1)][..]), (1, &[])] {
        let set = make_semaphores(&name, count);
        add(set, &[(MARK, 1)]);
        add(set, &[(MARK, -1)]);
        for step in steps {
            add(set, &[*step]);
        }
        let refused = Ring::<u64>::create(&name, 4).unwrap_err();
        assert!(matches!(refused, CreateError::Exists { .. }), "{refused}");
        assert_eq!(semaphores(&name), Ok(set));
        remove_semaphores(set);
    }
    Ring::<u64>::create(&name, 4).unwrap();
}

#[test]
fn removed_segment_stays_usable_and_frees_key_after_use() {
    let name = name();
    let ring = Ring::<u64>::create(&name, 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(&1).unwrap();
    remove_segment(segment(&name).unwrap());
    producer.push(&2).unwrap();
    assert_eq!(consumer.peer(), Ok(Peer::Present { pid: process::id() }));
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(
        Ring::<u64>::open(&name),
        Err(OpenError::NotFound { .. })
    ));
    match Ring::<u64>::create(&name, 4).unwrap_err() {
        CreateError::InUse { name: reported, .. } => assert_eq!(reported, *name),
        other => panic!("{other}"),
    }
    drop(consumer);
    ring.consumer().unwrap();
    assert_eq!(producer.peer(), Ok(Peer::Left));
    drop(producer);
    // The old ring is still open, but has no participants.
    let other = Ring::<u64>::create(&name, 8).unwrap();
    let refused = ring.producer().unwrap_err();
    assert!(matches!(refused, AttachError::System(_)), "{refused}");
    other.producer().unwrap();
}

#[test]
fn attached_handles_work_after_semaphore_removal() {
    let name = name();
    let ring = mpmc::Ring::<u64>::create(&name, 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    remove_semaphores(semaphores(&name).unwrap());
    for number in 0..20 {
        producer.push(&number).unwrap();
        assert_eq!(consumer.pop(), Ok(number));
    }
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    let refused = ring.producer().unwrap_err();
    assert!(matches!(refused, AttachError::System(_)), "{refused}");
    drop(producer);
    // Without semaphores no death can be proven, so the peer counts as present.
    assert!(matches!(consumer.peer(), Ok(Peer::Present { .. })));
    assert!(matches!(
        mpmc::Ring::<u64>::open(&name),
        Err(OpenError::NotARing { .. })
    ));
}

/// Claims a seat, and executes another program.
#[test]
#[ignore = "the other process of a test"]
fn role_executes_program_with_seat() {
    let Some(role) = support::role("role_executes_program_with_seat") else {
        return;
    };
    let _producer = Ring::<u64>::open(role.text(0)).unwrap().producer().unwrap();
    panic!("{}", Command::new("cat").exec());
}

#[test]
fn seat_stays_held_when_holder_executes_program() {
    let name = name();
    let ring = Ring::<u64>::create(&name, 4).unwrap();
    let consumer = ring.consumer().unwrap();
    let mut peer = start("role_executes_program_with_seat", &[&name]);
    let pid = peer.pid();
    let command = format!("/proc/{pid}/comm");
    until("the process has executed another program", || {
        std::fs::read_to_string(&command).is_ok_and(|name| name == "cat\n")
    });
    assert_eq!(consumer.peer(), Ok(Peer::Present { pid }));
    peer.kill_and_reap();
    assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
}

#[test]
fn change_of_ipc_namespace_releases_seat() {
    if !is_root() {
        return skip("this test needs root");
    }
    let name = name();
    let ring = Ring::<u64>::create(&name, 4).unwrap();
    let consumer = ring.consumer().unwrap();
    let words = Name::in_memory("words");
    let shared = SharedWords::create(&words, 1);
    let mut child = fork_child(|| {
        let _producer = Ring::<u64>::open(&name).unwrap().producer().unwrap();
        unshare(CloneFlags::CLONE_NEWIPC).unwrap();
        shared[0].store(1, SeqCst);
        thread::park();
    });
    until("the child has left the namespace", || {
        shared[0].load(SeqCst) == 1
    });
    // As documented, the kernel then undoes semaphore operations although the holder is alive.
    assert_eq!(consumer.peer(), Ok(Peer::Died { pid: child.pid() }));
    support::kill_process(child.pid());
    child.reap();
}

#[test]
fn create_above_segment_limit_returns_no_space() {
    let name = name();
    // 2^30 messages of 4 GiB exceed the memory of any machine.
    let refused = Ring::<[u8]>::create_bytes(&name, 1 << 30, u32::MAX as usize - 9000).unwrap_err();
    assert!(matches!(refused, CreateError::NoSpace { .. }), "{refused}");
    assert_eq!(segment(&name), Err(Errno::ENOENT));
    assert_eq!(semaphores(&name), Err(Errno::ENOENT));
}

#[test]
fn ring_with_removed_semaphores_gets_no_new_set() {
    let name = name();
    let ring = Ring::<u64>::create(&name, 4).unwrap();
    let _producer = ring.producer().unwrap();
    remove_semaphores(semaphores(&name).unwrap());
    let refused = Ring::<u64>::create(&name, 4).unwrap_err();
    assert!(matches!(refused, CreateError::Exists { .. }), "{refused}");
    // In a new set the producer's seat would be free while the producer is attached.
    match Ring::<u64>::open(&name) {
        Err(OpenError::NotARing { .. }) => {}
        Err(other) => panic!("{other}"),
        Ok(ring) => panic!("{:?}", ring.producer().map(|_| "a second producer")),
    }
    assert_eq!(semaphores(&name), Err(Errno::ENOENT));
}

#[test]
fn open_of_segment_without_key_returns_not_a_ring() {
    // SAFETY: takes numbers.
    let id = unsafe { libc::shmget(libc::IPC_PRIVATE, 8192, IPC) };
    let refused = Ring::<u64>::open(format!("sysv:id:{id}")).unwrap_err();
    remove_segment(id);
    assert!(matches!(refused, OpenError::NotARing { .. }), "{refused}");
}

#[test]
fn create_above_semaphore_limit_returns_no_semaphores() {
    if !is_root() {
        return skip("this test needs root");
    }
    let name = name();
    fork_child(|| {
        unshare(CloneFlags::CLONE_NEWIPC).unwrap();
        fs::write("/proc/sys/kernel/sem", "50 32000 100 128").unwrap();
        let refused = mpmc::Ring::<u64>::create(&name, 4).unwrap_err();
        assert!(
            matches!(refused, CreateError::NoSemaphores { .. }),
            "{refused}"
        );
        Ring::<u64>::create(&name, 4).unwrap();
    })
    .finish();
}

#[test]
fn mode_controls_access_by_other_user() {
    if !is_root() {
        return skip("this test needs root");
    }
    let (closed, open) = (name(), name());
    let _closed = Ring::<u64>::create(&closed, 4).unwrap();
    let shared = Options::new().capacity(4).mode(0o666);
    let ring = Ring::<u64>::create_with(&open, &shared).unwrap();
    let mut consumer = ring.consumer().unwrap();
    fork_child(|| {
        // SAFETY: takes a number; this process has one thread.
        assert_eq!(unsafe { libc::setuid(65534) }, 0);
        let refused = Ring::<u64>::open(&closed).unwrap_err();
        assert!(matches!(refused, OpenError::Permission { .. }), "{refused}");
        let refused = Ring::<u64>::create(&closed, 4).unwrap_err();
        assert!(
            matches!(refused, CreateError::Permission { .. }),
            "{refused}"
        );
        let refused = slipring::unlink(&open).unwrap_err();
        assert!(
            matches!(refused, UnlinkError::Permission { .. }),
            "{refused}"
        );
        Ring::<u64>::open(&open)
            .unwrap()
            .producer()
            .unwrap()
            .push(&7)
            .unwrap();
    })
    .finish();
    assert_eq!(consumer.pop(), Ok(7));
}

/// A process that is stopped before a chosen system call. musl's headers lack the ptrace request.
#[cfg(target_env = "gnu")]
mod traced {
    use super::*;
    use nix::sys::ptrace;
    use nix::sys::signal::{Signal, raise};
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::Pid;

    /// Continues a stopped child until it enters the system call `call`.
    fn run_to_call(child: Pid, call: c_long) {
        assert!(matches!(waitpid(child, None), Ok(WaitStatus::Stopped(..))));
        ptrace::setoptions(child, ptrace::Options::PTRACE_O_TRACESYSGOOD).unwrap();
        loop {
            ptrace::syscall(child, None).unwrap();
            let stopped = waitpid(child, None).unwrap();
            let is_at_call = matches!(stopped, WaitStatus::PtraceSyscall(_));
            assert!(is_at_call, "{stopped:?} before {call}");
            let info = ptrace::syscall_info(child).unwrap();
            if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
                continue;
            }
            // SAFETY: at the entry of a system call the kernel fills in this part of the union.
            let entered = unsafe { info.u.entry.nr };
            if entered == call as u64 {
                return;
            }
        }
    }

    #[test]
    fn open_during_replacement_gets_no_locks_of_next_ring() {
        let name = name();
        let first = Ring::<u64>::create(&name, 4).unwrap();
        let child = fork_child(|| {
            ptrace::traceme().unwrap();
            raise(Signal::SIGSTOP).unwrap();
            // This process has found the first segment, but not yet its semaphores.
            match Ring::<u64>::open(&name) {
                Err(OpenError::NotFound { .. }) => {}
                Err(other) => panic!("{other}"),
                Ok(ring) => assert_eq!(ring.capacity(), 8),
            }
        });
        let pid = Pid::from_raw(child.pid() as i32);
        run_to_call(pid, libc::SYS_semget);
        slipring::unlink(&name).unwrap();
        let _second = Ring::<u64>::create(&name, 8).unwrap();
        ptrace::detach(pid, None).unwrap();
        assert_eq!(first.capacity(), 4);
        child.finish();
    }
}
