//! Threads for which the kernel refuses some system calls, as in a sandbox or on a machine without
//! resources.

use nix::errno::Errno;
use nix::libc::{self, c_int, c_long, sock_filter, sock_fprog};
use std::thread;

/// Runs `body` in a thread of its own, in which `calls` fail with `errno`. Skips it, and prints
/// why, where seccomp filters are not available.
pub(crate) fn with_refused_calls(calls: &[c_long], errno: Errno, body: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let confined = scope.spawn(|| {
            if confine(calls, errno) {
                body();
            } else {
                eprintln!("skipped: seccomp filters are not available");
            }
        });
        confined.join().unwrap();
    });
}

/// Makes `calls` fail with `errno`, permanently, in this thread and in the threads and processes
/// that it starts. Returns `false` where seccomp filters are not available.
pub(crate) fn confine(calls: &[c_long], errno: Errno) -> bool {
    let statement = |code: u32, k: u32| sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let verdict = |action: u32| statement(libc::BPF_RET | libc::BPF_K, action);
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for &call in calls {
        program.push(sock_filter {
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32)
        });
        program.push(verdict(libc::SECCOMP_RET_ERRNO | errno as u32));
    }
    program.push(verdict(libc::SECCOMP_RET_ALLOW));
    let filter = sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: this operation of prctl takes numbers only.
    let is_set: c_int = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program outlives the call, which copies it.
    let confined: c_int = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    };
    (is_set, confined) == (0, 0)
}
