use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::{Address, Failure, Moment};

/// A port of this machine behind which is a Redis, and the trouble on the way there.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    trouble: watch::Sender<Trouble>,
    work: JoinHandle<()>,
}

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Everything passes.
    None,
    /// The one that listens stays, and nothing passes.
    ListenerFrozen,
    /// The one that listens is ended, and so is each new one.
    ListenerCut,
    /// All stay, and nothing passes.
    AllFrozen,
    /// All are ended, and so is each new one.
    AllCut,
    /// All stay, new ones are taken, and what is sent goes nowhere. Those that have lost something end with the trouble.
    AllSwallowed,
    /// On each way all takes so much longer.
    AllDelayed(Duration),
    /// So many bytes a second pass on each way of each connection.
    AllThrottled(u32),
}

impl Proxy {
    /// Opens a port on the way to `redis`.
    pub async fn start(redis: Address) -> Result<Self, Failure> {
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

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets this happen from now on, to the connections that there are and to new ones.
    pub fn set(&self, trouble: Trouble) {
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
            has_lost: Arc::default(),
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
    /// Something was swallowed.
    has_lost: Arc<AtomicBool>,
}

/// What was sent, and when it may arrive.
type Packet = (Moment, Vec<u8>);

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
            _ = trouble.wait_for(|trouble| self.is_over(*trouble)) => {}
        }
    }

    async fn carry(self, from: OwnedReadHalf, to: OwnedWriteHalf) {
        let (line, packets) = mpsc::channel(ON_THE_WAY);
        let way = self.clone();
        let taken = async move {
            way.take(from, line).await;
            // What is still on the way is delivered.
            pending::<()>().await;
        };
        tokio::select! {
            () = taken => {}
            () = self.deliver(packets, to) => {}
        }
    }

    async fn take(&self, mut from: OwnedReadHalf, line: mpsc::Sender<Packet>) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let bytes = buffer.get(..length).unwrap_or_default();
            if bytes.windows(SUBSCRIBE.len()).any(|word| word == SUBSCRIBE) {
                self.listens.store(true, Ordering::Relaxed);
            }
            let arrives = Moment::now().plus(self.delay());
            if line.send((arrives, bytes.to_vec())).await.is_err() {
                return;
            }
        }
    }

    async fn deliver(mut self, mut packets: mpsc::Receiver<Packet>, mut to: OwnedWriteHalf) {
        while let Some((arrives, bytes)) = packets.recv().await {
            if arrives > Moment::now() {
                arrives.reached().await;
            }
            match self.passable().await {
                None => return,
                Some(Trouble::AllSwallowed) => self.has_lost.store(true, Ordering::Relaxed),
                Some(_) if self.pass(&bytes, &mut to).await.is_err() => return,
                Some(_) => {}
            }
        }
    }

    /// Lets the bytes pass, drop by drop as long as few may.
    async fn pass(&self, mut bytes: &[u8], to: &mut OwnedWriteHalf) -> io::Result<()> {
        while let Some(rate) = self.rate()
            && !bytes.is_empty()
        {
            let (some, rest) = bytes.split_at(bytes.len().min(DROP));
            to.write_all(some).await?;
            let length = u32::try_from(some.len()).unwrap_or(u32::MAX);
            sleep(Duration::from_secs(1) * length / rate.max(1)).await;
            bytes = rest;
        }
        to.write_all(bytes).await
    }

    fn rate(&self) -> Option<u32> {
        match *self.trouble.borrow() {
            Trouble::AllThrottled(rate) => Some(rate),
            _ => None,
        }
    }

    fn delay(&self) -> Duration {
        match *self.trouble.borrow() {
            Trouble::AllDelayed(delay) => delay,
            _ => Duration::ZERO,
        }
    }

    /// Waits while nothing passes, and answers with the trouble then; `None` when the way is over.
    async fn passable(&mut self) -> Option<Trouble> {
        let way = self.clone();
        let thawed = self.trouble.wait_for(|trouble| !way.is_frozen(*trouble));
        let trouble = *thawed.await.ok()?;
        (!way.is_over(trouble)).then_some(trouble)
    }

    fn is_frozen(&self, trouble: Trouble) -> bool {
        let listens = self.listens.load(Ordering::Relaxed);
        trouble == Trouble::AllFrozen || listens && trouble == Trouble::ListenerFrozen
    }

    fn is_over(&self, trouble: Trouble) -> bool {
        let listens = self.listens.load(Ordering::Relaxed);
        let has_lost = self.has_lost.load(Ordering::Relaxed);
        trouble == Trouble::AllCut
            || listens && trouble == Trouble::ListenerCut
            || has_lost && trouble != Trouble::AllSwallowed
    }
}

const SUBSCRIBE: &[u8] = b"SUBSCRIBE";
/// How many packets a way holds before it takes no more.
const ON_THE_WAY: usize = 1_024;
/// How many bytes pass at a time where few do.
const DROP: usize = 256;
