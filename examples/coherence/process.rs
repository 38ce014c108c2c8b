//! Processes that play a role, and the lines that they and the program that has started them tell each other.

use std::io::{Write, stdin, stdout};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tiered_examples::Failure;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// A process that plays a role. It is killed when this is dropped, and ends by itself when its parent is gone.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts `command`, which must get to [`role`] by itself, and waits until it says that it is ready.
    pub(crate) async fn start(
        mut command: Command,
        role: &str,
        plan: &impl Serialize,
    ) -> Result<Self, Failure> {
        let plan = serde_json::to_string(plan).map_err(|error| unstarted().because(error))?;
        command.env(ROLE, role).env(PLAN, plan).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| unstarted().because(error))?;
        let (input, output) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .ok_or_else(unstarted)?;
        let output = BufReader::new(output).lines();
        let mut process = Self {
            child,
            input,
            output,
        };
        process.hear("ready").await?;
        Ok(process)
    }

    pub(crate) async fn tell(&mut self, line: &str) -> Result<(), Failure> {
        let line = format!("{line}\n");
        let told = self.input.write_all(line.as_bytes()).await;
        told.map_err(|error| Failure::new("a process takes no orders").because(error))
    }

    /// What follows `word` on the next line that begins with it.
    pub(crate) async fn hear(&mut self, word: &str) -> Result<String, Failure> {
        let heard = timeout(PATIENCE, self.next(word)).await;
        heard.map_err(|_| Failure::new(format!("a process does not say {word:?} in time")))?
    }

    /// Its number, for signals. It stays this process's own as long as this value lives.
    pub(crate) fn pid(&self) -> Result<Pid, Failure> {
        let number = self.child.id().and_then(|id| i32::try_from(id).ok());
        number
            .and_then(Pid::from_raw)
            .ok_or_else(|| Failure::new("a process has ended early"))
    }

    /// Kills it without a goodbye.
    pub(crate) async fn kill(&mut self) -> Result<(), Failure> {
        let killed = self.child.kill().await;
        killed.map_err(|error| Failure::new("a process cannot be killed").because(error))
    }

    async fn next(&mut self, word: &str) -> Result<String, Failure> {
        loop {
            let line = self.output.next_line().await;
            let line =
                line.map_err(|error| Failure::new("a process is not heard").because(error))?;
            let line = line.ok_or_else(|| Failure::new("a process has ended early"))?;
            let Some(line) = line.strip_prefix(MARK) else {
                continue;
            };
            let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
            if first == word {
                return Ok(rest.to_owned());
            }
            if first == "failed" {
                return Err(Failure::new(format!("a process has failed: {rest}")));
            }
        }
    }
}

/// The role that this process has been started for, if it has.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// The program that has started this process.
pub(crate) struct Parent {
    lines: UnboundedReceiver<String>,
}

impl Parent {
    /// Listens to it. From now on this process ends when its parent does.
    pub(crate) fn attach() -> Self {
        die_with_parent();
        let (sender, lines) = unbounded_channel();
        std::thread::spawn(move || {
            let orders = stdin().lines().map_while(Result::ok);
            orders.for_each(|line| drop(sender.send(line)));
            std::process::exit(1);
        });
        Self { lines }
    }

    pub(crate) async fn hear(&mut self) -> Result<String, Failure> {
        let line = self.lines.recv().await;
        line.ok_or_else(|| Failure::new("the parent is gone"))
    }

    /// Says how it went.
    pub(crate) fn end(played: Result<(), Failure>) {
        if let Err(failure) = played {
            let lines = failure.to_string();
            say(&format!("failed {}", lines.trim().replace('\n', ";")));
        }
    }
}

/// What this process has been started for.
pub(crate) fn plan<T: DeserializeOwned>() -> Result<T, Failure> {
    let unknown = || Failure::new("the plan cannot be read");
    let plan = std::env::var(PLAN).map_err(|error| unknown().because(error))?;
    serde_json::from_str(&plan).map_err(|error| unknown().because(error))
}

/// Says something to the program that has started this process.
pub(crate) fn say(line: &str) {
    // The mark tells it from what a test harness writes. If nobody listens any more, the process is about to end.
    let _ = writeln!(stdout().lock(), "\n{MARK}{line}").and_then(|()| stdout().flush());
}

const ROLE: &str = "COHERENCE_ROLE";
const PLAN: &str = "COHERENCE_PLAN";
const MARK: &str = "@ ";
/// More than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn unstarted() -> Failure {
    Failure::new("a process cannot be started")
}

/// Also while it is frozen, when it cannot see that nobody talks to it any more.
#[cfg(target_os = "linux")]
fn die_with_parent() {
    // Where it cannot be had, the closed pipe has to do.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent() {}
