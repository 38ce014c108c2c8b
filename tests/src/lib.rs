//! What the tests and benches share: a `redis-server` of their own.
#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a fixture that fails ends the test, with a word that names the cause"
)]

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// A `redis-server` on a free port of this machine, without persistence. It dies with its value, and where `setpriv`
/// is installed also with the thread that has started it: start it in the body of a test, not on a passing thread.
///
/// Everything here panics with a clear word where it fails: it serves tests.
///
/// ```no_run
/// # async fn example() {
/// let server = tiered_tests::RedisServer::start().await;
/// assert_eq!(server.raw(&["SET", "key", "value"]).await, b"+OK\r\n");
/// # }
/// ```
#[derive(Debug)]
pub struct RedisServer {
    process: Child,
    port: u16,
    extra: Vec<String>,
    folder: TempDir,
}

impl RedisServer {
    /// A server with its default configuration.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A server with more arguments, for example `["--requirepass", "x"]`.
    pub async fn start_with(extra: &[&str]) -> Self {
        let extra: Vec<_> = extra.iter().map(|&argument| argument.to_owned()).collect();
        // Somebody else may take the port before the server does.
        for _ in 0..20 {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let port = free_port().await;
            if let Some(process) = launch(port, &extra, folder.path()).await {
                return Self {
                    process,
                    port,
                    extra,
                    folder,
                };
            }
        }
        panic!("redis-server does not start with {extra:?}");
    }

    /// The address for clients, without user and password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it without a goodbye. Its data is lost.
    pub fn kill(&mut self) {
        self.process.kill().expect("redis-server can be killed");
        self.process.wait().expect("redis-server can be waited for");
    }

    /// Stops it in its tracks: connections stay, nothing answers.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Kills it and starts it on the same port, with the same arguments.
    pub async fn restart(&mut self) {
        self.kill();
        // A connection of somebody else may sit on the port for a moment.
        for _ in 0..20 {
            if let Some(process) = launch(self.port, &self.extra, self.folder.path()).await {
                self.process = process;
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("redis-server does not come back on port {}", self.port);
    }

    /// Sends one command over a connection of its own, and gives back the bytes of the reply.
    pub async fn raw<A: AsRef<[u8]>>(&self, arguments: &[A]) -> Vec<u8> {
        let reply = timeout(PATIENCE, ask(self.port, arguments)).await;
        reply
            .expect("redis-server answers in time")
            .expect("redis-server answers")
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status();
        assert!(
            status.expect("`kill` can be run").success(),
            "kill {signal} failed"
        );
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How long to wait for a server on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let address = listener.and_then(|listener| listener.local_addr());
    address.expect("there is a free port").port()
}

/// Starts a server and waits until it answers; `None` if it ended at once, as it does when the port is taken.
async fn launch(port: u16, extra: &[String], folder: &Path) -> Option<Child> {
    let pid_file = folder.join("redis.pid");
    let _ = std::fs::remove_file(&pid_file);
    let mut process = command(port, extra, folder, &pid_file)
        .spawn()
        .unwrap_or_else(|error| panic!("redis-server cannot be started ({error})"));
    let up = timeout(PATIENCE, async {
        loop {
            if process.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            // It writes the file once it listens; before that, another server might answer on the port.
            if pid_file.exists() && is_alive(port).await {
                return true;
            }
            sleep(Duration::from_millis(5)).await;
        }
    });
    if up.await.unwrap_or(false) {
        return Some(process);
    }
    let _ = process.kill();
    let _ = process.wait();
    None
}

fn command(port: u16, extra: &[String], folder: &Path, pid_file: &Path) -> Command {
    let server = installed("redis-server").unwrap_or_else(|| {
        panic!("redis-server is not installed: see scripts/test for what the tests need")
    });
    let mut command = match installed("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL"]).arg(server);
            command
        }
        None => Command::new(server),
    };
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(folder)
        .arg("--pidfile")
        .arg(pid_file)
        .args(extra)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

async fn is_alive(port: u16) -> bool {
    ask(port, &["PING"])
        .await
        .is_ok_and(|reply| reply.starts_with(b"+PONG") || reply.starts_with(b"-NOAUTH"))
}

async fn ask<A: AsRef<[u8]>>(port: u16, arguments: &[A]) -> io::Result<Vec<u8>> {
    const GOODBYE: &[u8] = b"+OK\r\n";
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut request = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments.iter().map(AsRef::as_ref) {
        request.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        request.extend_from_slice(argument);
        request.extend_from_slice(b"\r\n");
    }
    // The server hangs up after the goodbye: the reply is what stands before it.
    request.extend_from_slice(b"*1\r\n$4\r\nQUIT\r\n");
    stream.write_all(&request).await?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await?;
    let reply = reply.strip_suffix(GOODBYE).unwrap_or(&reply);
    Ok(reply.to_vec())
}
