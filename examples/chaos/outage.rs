//! What the source has to bear while Redis is away, of nodes whose L1 is full of hot keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tiered::{BoxError, Cache, Clock, Settings, Throttle};
use tiered_examples::{Failure, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::ground::Ground;
use crate::latencies::Latencies;
use crate::targets::Targets;

const NODES: usize = 4;
const KEYS: u32 = 10_000;
/// How many tasks share the keys of a node.
const READERS: u32 = 50;
/// How often each of them reads some of its keys.
const TURN: Duration = Duration::from_millis(50);
/// How many turns it takes to read all keys once.
const TURNS: u32 = 20;

pub(crate) async fn run(lasts: Duration) -> Result<Targets, Failure> {
    let mut targets = Targets::default();
    for ttl in [Duration::from_secs(10), Duration::from_secs(300)] {
        through(lasts, ttl, &mut targets).await?;
    }
    Ok(targets)
}

/// A node, and what it asks of the source during the outage.
struct Node {
    cache: Cache<u32, u32>,
    /// Of each key.
    loads: Vec<AtomicU64>,
    /// In each second.
    rates: Vec<AtomicU64>,
    failed: AtomicU64,
    latencies: Latencies,
    /// When the outage began, in nanoseconds of [`Moment`].
    begun: AtomicU64,
}

async fn through(lasts: Duration, ttl: Duration, targets: &mut Targets) -> Result<(), Failure> {
    let settings = settings(ttl);
    let mut ground = Ground::prepare().await?;
    let nodes = nodes(&ground, &settings, lasts).await?;
    let mut readers = JoinSet::new();
    for node in &nodes {
        node.fill().await;
        for reader in 0..READERS {
            readers.spawn(Arc::clone(node).read(reader));
        }
    }
    sleep(SETTLED).await;
    ground.server.kill().await?;
    nodes.iter().map(AsRef::as_ref).for_each(Node::begin);
    sleep(lasts).await;
    readers.shutdown().await;
    targets.about(format!(
        "ttl {} s, away {} s",
        ttl.as_secs(),
        lasts.as_secs()
    ));
    judge(&nodes, lasts, &settings.throttle, targets);
    tell(&nodes, targets);
    Ok(())
}

fn settings(ttl: Duration) -> Settings {
    Settings {
        ttl,
        stale_for: Duration::from_secs(3_600),
        ..Settings::default()
    }
}

async fn nodes(
    ground: &Ground,
    settings: &Settings,
    lasts: Duration,
) -> Result<Vec<Arc<Node>>, Failure> {
    let mut nodes = Vec::with_capacity(NODES);
    for _ in 0..NODES {
        let cache = ground.node(settings, Clock::system()).await?;
        nodes.push(Arc::new(Node::new(cache, lasts)));
    }
    Ok(nodes)
}

impl Node {
    fn new(cache: Cache<u32, u32>, lasts: Duration) -> Self {
        Self {
            cache,
            loads: (0..KEYS).map(|_| AtomicU64::new(0)).collect(),
            rates: (0..=lasts.as_secs()).map(|_| AtomicU64::new(0)).collect(),
            failed: AtomicU64::new(0),
            latencies: Latencies::default(),
            begun: AtomicU64::new(u64::MAX),
        }
    }

    /// Reads all keys once, some at a time.
    async fn fill(self: &Arc<Self>) {
        let read = |reader| {
            let node = Arc::clone(self);
            async move {
                for key in keys(reader) {
                    node.ask(key).await;
                }
            }
        };
        (0..READERS)
            .map(read)
            .collect::<JoinSet<_>>()
            .join_all()
            .await;
    }

    /// From now on all is counted.
    fn begin(&self) {
        self.begun.store(Moment::now().nanos(), Ordering::SeqCst);
    }

    /// Reads its part of the keys, evenly and for ever.
    async fn read(self: Arc<Self>, reader: u32) {
        let keys: Vec<_> = keys(reader).collect();
        let some = keys.len().div_ceil(TURNS as usize);
        loop {
            for keys in keys.chunks(some) {
                for key in keys {
                    self.ask(*key).await;
                }
                sleep(TURN).await;
            }
        }
    }

    async fn ask(self: &Arc<Self>, key: u32) {
        let begin = Moment::now();
        let node = Arc::clone(self);
        let answer = self.cache.get_or_load(&key, move || node.load(key)).await;
        if self.second().is_some() {
            self.latencies.note(Moment::now().since(begin));
            self.failed
                .fetch_add(u64::from(answer.is_err()), Ordering::Relaxed);
        }
    }

    async fn load(self: Arc<Self>, key: u32) -> Result<u32, BoxError> {
        if let Some(second) = self.second() {
            if let Some(loads) = self.loads.get(key as usize) {
                loads.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(rate) = self.rates.get(second) {
                rate.fetch_add(1, Ordering::Relaxed);
            }
        }
        sleep(Duration::from_millis(1)).await;
        Ok(key)
    }

    /// In which second of the outage it is.
    fn second(&self) -> Option<usize> {
        let begun = self.begun.load(Ordering::SeqCst);
        let is_begun = begun != u64::MAX;
        let since = Moment::now().since(Moment::from_nanos(begun));
        is_begun.then(|| usize::try_from(since.as_secs()).unwrap_or(usize::MAX))
    }

    fn all_loads(&self) -> u64 {
        self.loads.iter().map(read).sum()
    }

    fn loads_of_a_key(&self) -> u64 {
        self.loads.iter().map(read).max().unwrap_or(0)
    }

    fn loads_of_a_second(&self) -> u64 {
        self.rates.iter().map(read).max().unwrap_or(0)
    }
}

/// The part of a reader.
fn keys(reader: u32) -> impl Iterator<Item = u32> {
    (reader..KEYS).step_by(READERS as usize)
}

/// The loads of all nodes, against what is stated.
fn judge(nodes: &[Arc<Node>], lasts: Duration, throttle: &Throttle, targets: &mut Targets) {
    let stated = u64::from(throttle.outage_loads);
    let most = |of: fn(&Node) -> u64| nodes.iter().map(|node| of(node)).max().unwrap_or(0);
    targets.number(
        "loads of a key on a node, at most",
        most(Node::loads_of_a_key),
        2,
    );
    // A second's worth is saved up.
    let bound = stated * (lasts.as_secs() + 1);
    targets.number("loads of a node, at most", most(Node::all_loads), bound);
    targets.number(
        "loads of a node in one second, at most",
        most(Node::loads_of_a_second),
        stated * 2,
    );
    let is_due = lasts > throttle.outage_interval * 3 / 2;
    let are_loaded = most(Node::all_loads) > 0;
    targets.claim("the oldest copies are loaded anew", are_loaded || !is_due);
}

fn tell(nodes: &[Arc<Node>], targets: &mut Targets) {
    let reads = nodes.iter().map(|node| node.latencies.len()).sum::<u64>();
    targets.tell("reads", reads);
    let failed = nodes.iter().map(|node| read(&node.failed)).sum();
    targets.number("reads failed", failed, 0);
    if let Some(node) = nodes.first() {
        targets.tell("latency on a node, p50 / p99 / max in ms", &node.latencies);
    }
}

fn read(number: &AtomicU64) -> u64 {
    number.load(Ordering::SeqCst)
}

/// Until all nodes trust what they hold.
const SETTLED: Duration = Duration::from_secs(3);
