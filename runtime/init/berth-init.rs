//! `berth-init`: pid 1 of a container that asks for one (`--init`). Starts the program, passes signals on to it, collects
//! every process that ends, and ends as the program does.
//!
//! Built by the build script as one static file without dependencies, because it runs inside any image: hence the few
//! declarations of libc's functions here. Its arguments are the program's path, then the program's own arguments.

use std::env;
use std::io::{Error, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// `sigset_t` of the C libraries for Linux: 1024 bits.
type SignalSet = [u64; 16];

const SIG_BLOCK: i32 = 0;
const SIG_SETMASK: i32 = 2;
const SIGCHLD: i32 = 17;
const WNOHANG: i32 = 1;
const STDIN: i32 = 0;

unsafe extern "C" {
    fn sigfillset(set: *mut SignalSet) -> i32;
    fn sigprocmask(how: i32, set: *const SignalSet, old: *mut SignalSet) -> i32;
    fn sigwait(set: *const SignalSet, signal: *mut i32) -> i32;
    fn kill(pid: i32, signal: i32) -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn tcsetpgrp(terminal: i32, group: i32) -> i32;
}

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(program), Some(name)) = (arguments.next(), arguments.next()) else {
        eprintln!("berth-init: it takes the program's path and its arguments, the first being its name");
        return ExitCode::from(125);
    };
    let signals = block_signals();
    let mut command = Command::new(&program);
    // A group of its own gets the terminal's signals; we don't.
    command.arg0(name).args(arguments).process_group(0);
    // SAFETY: what is called between fork and exec changes the signal mask and nothing else.
    unsafe { command.pre_exec(unblock_signals) };
    let child = match command.spawn() {
        Ok(child) => child.id().cast_signed(),
        Err(error) => {
            eprintln!("berth-init: exec {}: {error}", program.to_string_lossy());
            return ExitCode::from(if error.kind() == ErrorKind::NotFound { 127 } else { 126 });
        }
    };
    // SAFETY: no memory is involved; it fails harmlessly when standard input is no terminal.
    unsafe { tcsetpgrp(STDIN, child) };
    loop {
        match next_signal(&signals) {
            SIGCHLD => {
                if let Some(code) = collect(child) {
                    return ExitCode::from(code);
                }
            }
            signal => {
                // SAFETY: no memory is involved, and the child isn't collected yet, so the pid is still its own.
                unsafe { kill(child, signal) };
            }
        }
    }
}

/// Blocks every signal, so that they can be waited for.
fn block_signals() -> SignalSet {
    let mut signals: SignalSet = [0; 16];
    // SAFETY: both get pointers to a whole set, or null where that is allowed.
    unsafe {
        sigfillset(&raw mut signals);
        sigprocmask(SIG_BLOCK, &raw const signals, std::ptr::null_mut());
    }
    signals
}

/// A mask is inherited by the program, which expects none.
fn unblock_signals() -> Result<(), Error> {
    let none: SignalSet = [0; 16];
    // SAFETY: the pointer is to a whole set, and null is allowed.
    match unsafe { sigprocmask(SIG_SETMASK, &raw const none, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

fn next_signal(signals: &SignalSet) -> i32 {
    loop {
        let mut signal = 0;
        // SAFETY: both pointers are to valid memory of the right type.
        if unsafe { sigwait(signals, &raw mut signal) } == 0 {
            return signal;
        }
    }
}

/// Collects every process that has ended; gives the exit code when the program is among them.
fn collect(child: i32) -> Option<u8> {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to a valid int.
        let pid = unsafe { waitpid(-1, &raw mut status, WNOHANG) };
        let interrupted = pid < 0 && Error::last_os_error().kind() == ErrorKind::Interrupted;
        match pid {
            _ if interrupted => {}
            ..=0 => return None,
            _ if pid == child => {
                let signal = status & 0x7f;
                let code = if signal == 0 { (status >> 8) & 0xff } else { 128 + signal };
                return Some(u8::try_from(code).unwrap_or(u8::MAX));
            }
            _ => {}
        }
    }
}
