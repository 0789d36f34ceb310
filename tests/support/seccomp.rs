//! A thread to which the kernel refuses some system calls, as a sandbox or a full machine would.

use nix::errno::Errno;
use nix::libc::{self, c_int, c_long, sock_filter, sock_fprog};
use std::thread;

/// Runs `body` in a thread of its own, where `calls` do nothing but fail with `errno`. Skips it,
/// with a word, where filters can't be had.
pub(crate) fn refusing(calls: &[c_long], errno: Errno, body: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let confined = scope.spawn(|| {
            if confine(calls, errno) {
                body();
            } else {
                eprintln!("skipped: no seccomp filters here");
            }
        });
        confined.join().unwrap();
    });
}

/// Installs a filter for this thread and what it starts, for ever.
fn confine(calls: &[c_long], errno: Errno) -> bool {
    let statement = |code: u32, k: u32| sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let answer = |action: u32| statement(libc::BPF_RET | libc::BPF_K, action);
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for &call in calls {
        program.push(sock_filter {
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32)
        });
        program.push(answer(libc::SECCOMP_RET_ERRNO | errno as u32));
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    let filter = sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: prctl takes numbers here.
    let promised: c_int = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the kernel copies the program, which lives until it has.
    let confined: c_int = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    };
    (promised, confined) == (0, 0)
}
