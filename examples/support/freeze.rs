use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

/// Stops a process in its tracks, as a debugger or a frozen machine does.
pub fn freeze(process: Pid) -> Result<(), Failure> {
    signal(process, Signal::STOP)
}

/// Lets it go on.
pub fn thaw(process: Pid) -> Result<(), Failure> {
    signal(process, Signal::CONT)
}

fn signal(process: Pid, signal: Signal) -> Result<(), Failure> {
    let sent = kill_process(process, signal);
    sent.map_err(|error| Failure::new("a process cannot be signalled").because(error))
}
