use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Pid;
use tempfile::TempDir;
use tiered::BoxError;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::Failure;
use crate::freeze::{freeze, thaw};

/// A `redis-server` on a free port of this machine, without persistence. It dies with its value.
#[derive(Debug)]
pub struct Server {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Server {
    /// Starts it, and waits until it listens.
    pub async fn start() -> Result<Self, Failure> {
        Self::start_with(&[]).await
    }

    /// Starts it with these options of `redis-server`, and waits until it listens.
    pub async fn start_with(options: &[&str]) -> Result<Self, Failure> {
        let failed = |error| unstarted().because(BoxError::from(error));
        let folder = tempfile::tempdir().map_err(failed)?;
        let port = free_port().map_err(failed)?;
        let process = launch(port, folder.path(), options).map_err(failed)?;
        let mut server = Self {
            process,
            port,
            folder,
        };
        server.is_up().await.then_some(server).ok_or_else(unstarted)
    }

    /// Its address, for a cache.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it without a goodbye.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        let killed = self.process.kill().await;
        killed.map_err(|error| Failure::new("the server cannot be killed").because(error))
    }

    /// Starts it again on the same port, with what it has saved. Waits until it listens; it may still be loading then.
    pub async fn start_again(&mut self, options: &[&str]) -> Result<(), Failure> {
        let started = launch(self.port, self.folder.path(), options);
        self.process = started.map_err(|error| unstarted().because(error))?;
        self.is_up().await.then_some(()).ok_or_else(unstarted)
    }

    /// Stops it in its tracks: its connections stay, and nothing is answered.
    pub fn freeze(&self) -> Result<(), Failure> {
        freeze(self.pid()?)
    }

    /// Lets it go on.
    pub fn thaw(&self) -> Result<(), Failure> {
        thaw(self.pid()?)
    }

    fn pid(&self) -> Result<Pid, Failure> {
        let number = self.process.id().and_then(|id| i32::try_from(id).ok());
        let pid = number.and_then(Pid::from_raw);
        pid.ok_or_else(|| Failure::new("the server is not there"))
    }

    /// Waits until it listens; false if it ends, or does not listen in time.
    async fn is_up(&mut self) -> bool {
        for _ in 0..1_000 {
            if self.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

fn unstarted() -> Failure {
    Failure::new("no redis-server can be started: is one installed?")
}

/// Where `setpriv` is installed, the server dies with this program, however that ends.
fn launch(port: u16, folder: &Path, options: &[&str]) -> io::Result<Child> {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "KILL", "redis-server"]);
    match start(bound, port, folder, options) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            start(Command::new("redis-server"), port, folder, options)
        }
        started => started,
    }
}

fn start(mut command: Command, port: u16, folder: &Path, options: &[&str]) -> io::Result<Child> {
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(folder)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}
