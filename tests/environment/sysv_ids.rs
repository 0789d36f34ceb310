//! Ids of System V segments and sets of semaphores that the kernel uses again.
//!
//! Each test has an IPC namespace of its own, where it chooses the next id.

use core::time::Duration;
use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
#[cfg(target_env = "gnu")]
use nix::sys::{
    ptrace,
    signal::{Signal, raise},
};
use nix::unistd::{ForkResult, fork};
use slipring::error::PopTimeoutError;
use slipring::spsc::Ring;
use slipring::{Options, unlink};
use std::fs;
use std::process;
use std::ptr;
use std::thread;

const CREATE: c_int = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
const KEY: c_int = 0x51;
const OTHER_KEY: c_int = 0x52;
const SETALL: c_int = 17;
const GETVAL: c_int = 12;
const PAGE: usize = 4096;

/// Runs a test on a thread in an IPC namespace of its own.
fn in_own_namespace(test: impl FnOnce() + Send + 'static) {
    let body = move || {
        if unshare(CloneFlags::CLONE_NEWIPC).is_err() {
            println!("skipped: no permission to make an IPC namespace");
            return;
        }
        test();
    };
    thread::spawn(body).join().unwrap();
}

/// Makes `id` the next one of a kind, "shm" or "sem".
fn set_next_id(kind: &str, id: c_int) {
    fs::write(format!("/proc/sys/kernel/{kind}_next_id"), id.to_string()).unwrap();
}

fn segment(key: c_int, size: usize, flags: c_int) -> c_int {
    // SAFETY: shmget takes numbers only.
    Errno::result(unsafe { libc::shmget(key, size, flags) }).unwrap()
}

fn remove_segment(id: c_int) {
    // SAFETY: IPC_RMID takes no pointer.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) }).unwrap();
}

fn semaphores(key: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: semget takes numbers only.
    Errno::result(unsafe { libc::semget(key, count, flags) }).unwrap()
}

fn remove_semaphores(set: c_int) {
    // SAFETY: IPC_RMID takes no further argument.
    Errno::result(unsafe { libc::semctl(set, 0, libc::IPC_RMID) }).unwrap();
}

fn set_values(set: c_int, values: &[u16]) {
    // SAFETY: SETALL reads as many values as the set has semaphores.
    Errno::result(unsafe { libc::semctl(set, 0, SETALL, values.as_ptr()) }).unwrap();
}

fn value(set: c_int, semaphore: usize) -> c_int {
    // SAFETY: GETVAL takes no further argument.
    Errno::result(unsafe { libc::semctl(set, semaphore as c_int, GETVAL) }).unwrap()
}

fn name(key: c_int) -> String {
    format!("sysv:{key:#x}")
}

fn options() -> Options {
    let interval = Duration::from_millis(1);
    Options::new().capacity(4).liveness_interval(interval)
}

/// Whenever a process is about to attach a segment, its id becomes that of a larger one. Attached
/// over a reservation for the smaller one, it would replace the memory behind it, and stay there.
#[cfg(target_env = "gnu")]
#[test]
fn open_of_recycled_segment_id_replaces_no_memory() {
    const SMALL: usize = PAGE;
    const LARGE: usize = 16 * PAGE;
    in_own_namespace(|| {
        // What a ring has beside its segment: the mark is the first semaphore.
        let set = semaphores(KEY, 6, CREATE);
        set_values(set, &[0x5352, 0, 0, 0, 0, 0]);
        let mut id = segment(KEY, SMALL, CREATE);
        let by_id = format!("sysv:id:{id}");
        // SAFETY: the child only opens a ring and reads a file.
        let child = match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                ptrace::traceme().unwrap();
                raise(Signal::SIGSTOP).unwrap();
                let is_refused = Ring::<u64>::open(&by_id).is_err();
                let maps = fs::read_to_string("/proc/self/maps").unwrap();
                process::exit(i32::from(!is_refused || maps.contains("/SYSV")));
            }
        };
        assert!(matches!(waitpid(child, None), Ok(WaitStatus::Stopped(..))));
        ptrace::setoptions(child, ptrace::Options::PTRACE_O_TRACESYSGOOD).unwrap();
        let mut attached = 0;
        loop {
            ptrace::syscall(child, None).unwrap();
            match waitpid(child, None).unwrap() {
                WaitStatus::PtraceSyscall(_) => {}
                over => {
                    assert_eq!(over, WaitStatus::Exited(child, 0));
                    break;
                }
            }
            let info = ptrace::syscall_info(child).unwrap();
            if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
                continue;
            }
            // SAFETY: at the entry of a call the kernel has filled in that part.
            if unsafe { info.u.entry.nr } == libc::SYS_shmat as u64 {
                remove_segment(id);
                set_next_id("shm", id);
                id = segment(KEY, LARGE, CREATE);
                attached += 1;
            }
        }
        assert!(attached > 0);
        remove_segment(id);
        remove_semaphores(set);
    });
}

/// The set of a ring is removed, and its id becomes that of a set in which the consumer's lock seems
/// held and the producer's free.
#[test]
fn recycled_semaphores_do_not_declare_peer_dead() {
    in_own_namespace(|| {
        let ring = Ring::<u64>::create_with(name(KEY), &options()).unwrap();
        let mut consumer = ring.consumer().unwrap();
        let before = semaphores(KEY, 0, 0);
        let count = 16;
        let held_before: Vec<_> = (0..6).map(|semaphore| value(before, semaphore)).collect();
        let producer = ring.producer().unwrap();
        remove_semaphores(before);
        set_next_id("sem", before);
        let set = semaphores(OTHER_KEY, count, CREATE);
        assert_eq!(set, before);
        let mut values = vec![0; count as usize];
        for (value, held) in values.iter_mut().zip(&held_before) {
            *value = *held as u16;
        }
        set_values(set, &values);
        let popped = consumer.pop_timeout(Duration::from_millis(50));
        assert_eq!(popped, Err(PopTimeoutError::TimedOut));

        // Nor does a handle that is dropped release locks in it.
        set_values(set, &vec![1; count as usize]);
        drop((producer, consumer, ring));
        let changed = (0..count as usize).filter(|&semaphore| value(set, semaphore) != 1);
        assert_eq!(changed.count(), 0);
        remove_semaphores(set);
        unlink(name(KEY)).unwrap();
    });
}

/// In a forked child the segment is not attached, so nothing keeps its id.
#[test]
fn reopen_of_recycled_segment_id_in_forked_child_fails() {
    in_own_namespace(|| {
        let ring = Ring::<u64>::create_with(name(KEY), &options()).unwrap();
        let id = segment(KEY, 0, 0);
        let (mut here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
        // SAFETY: the child only reads a socket and opens a ring.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                use std::io::Read;
                let woken = there.read(&mut [0]).is_ok();
                let is_refused = ring.reopen().is_err();
                process::exit(i32::from(!(woken && is_refused)));
            }
            ForkResult::Parent { child } => {
                use std::io::Write;
                unlink(name(KEY)).unwrap();
                drop(ring);
                set_next_id("shm", id);
                let other = Ring::<u64>::create_with(name(OTHER_KEY), &options()).unwrap();
                assert_eq!(segment(OTHER_KEY, 0, 0), id);
                here.write_all(&[1]).unwrap();
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
                drop(other);
                unlink(name(OTHER_KEY)).unwrap();
            }
        }
    });
}
