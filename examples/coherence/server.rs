use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tiered::BoxError;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::failure::Failure;

/// A `redis-server` on a free port of this machine, without persistence. It dies with its value.
pub(crate) struct Server {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let unstarted = || Failure::new("no redis-server can be started; give one with --redis");
        let failed = |error| unstarted().because(BoxError::from(error));
        let folder = tempfile::tempdir().map_err(failed)?;
        let port = free_port().map_err(failed)?;
        let process = launch(port, folder.path()).map_err(failed)?;
        let mut server = Self {
            process,
            port,
            _folder: folder,
        };
        server.is_up().await.then_some(server).ok_or_else(unstarted)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
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

/// Where `setpriv` is installed, the server dies with this program, however that ends.
fn launch(port: u16, folder: &Path) -> io::Result<Child> {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "KILL", "redis-server"]);
    match start(bound, port, folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            start(Command::new("redis-server"), port, folder)
        }
        started => started,
    }
}

fn start(mut command: Command, port: u16, folder: &Path) -> io::Result<Child> {
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}
