use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::address::Address;
use crate::failure::Failure;

/// A port of this machine behind which is a Redis, and the trouble on the way there.
pub(crate) struct Proxy {
    port: u16,
    trouble: watch::Sender<Trouble>,
    work: JoinHandle<()>,
}

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// The one that listens stays, and nothing passes.
    ListenerFrozen,
    /// The one that listens is ended, and so is each new one.
    ListenerCut,
    /// All stay, and nothing passes.
    AllFrozen,
    /// All are ended, and so is each new one.
    AllCut,
}

impl Proxy {
    pub(crate) async fn start(redis: Address) -> Result<Self, Failure> {
        let closed = |error| Failure::new("no port can be opened").because(error);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(closed)?;
        let port = listener.local_addr().map_err(closed)?.port();
        let (trouble, seen) = watch::channel(Trouble::None);
        Ok(Self {
            port,
            trouble,
            work: tokio::spawn(accept(listener, redis, seen)),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, trouble: Trouble) {
        self.trouble.send_replace(trouble);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn accept(listener: TcpListener, redis: Address, trouble: watch::Receiver<Trouble>) {
    // They end with this task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let way = Way {
            trouble: trouble.clone(),
            listens: Arc::default(),
        };
        let place = (redis.host.clone(), redis.port);
        connections.spawn(async move {
            if let Ok(server) = TcpStream::connect(place).await {
                way.join(client, server).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// The way of one connection.
#[derive(Clone)]
struct Way {
    trouble: watch::Receiver<Trouble>,
    /// It has subscribed to something.
    listens: Arc<AtomicBool>,
}

impl Way {
    /// Carries bytes both ways until one side ends or the way is cut.
    async fn join(self, client: TcpStream, server: TcpStream) {
        // Small packets are to go at once, as they do without a proxy.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let mut trouble = self.trouble.clone();
        tokio::select! {
            () = self.clone().carry(from_client, to_server) => {}
            () = self.clone().carry(from_server, to_client) => {}
            _ = trouble.wait_for(|trouble| self.is_cut(*trouble)) => {}
        }
    }

    async fn carry(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let bytes = buffer.get(..length).unwrap_or_default();
            if bytes.windows(SUBSCRIBE.len()).any(|word| word == SUBSCRIBE) {
                self.listens.store(true, Ordering::Relaxed);
            }
            if !self.is_passable().await || to.write_all(bytes).await.is_err() {
                return;
            }
        }
    }

    /// Waits while nothing passes; false when the way is cut.
    async fn is_passable(&mut self) -> bool {
        let way = self.clone();
        let thawed = self.trouble.wait_for(|trouble| !way.is_frozen(*trouble));
        thawed.await.is_ok_and(|trouble| !way.is_cut(*trouble))
    }

    fn is_frozen(&self, trouble: Trouble) -> bool {
        let listens = self.listens.load(Ordering::Relaxed);
        trouble == Trouble::AllFrozen || listens && trouble == Trouble::ListenerFrozen
    }

    fn is_cut(&self, trouble: Trouble) -> bool {
        let listens = self.listens.load(Ordering::Relaxed);
        trouble == Trouble::AllCut || listens && trouble == Trouble::ListenerCut
    }
}

const SUBSCRIBE: &[u8] = b"SUBSCRIBE";
