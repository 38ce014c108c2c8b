use tiered::{Builder, Cache, Embedded, L2, Moka, Redis, Result, Settings, Stats};
use tiered_examples::Failure;

use crate::args::Args;
use crate::package::Package;

/// The caches, each with an L1 and, as if on a machine of its own, a connection of its own; all with the same L2.
pub(crate) struct Nodes {
    caches: Vec<Cache<Package, u32>>,
    connections: Vec<Redis>,
}

impl Nodes {
    pub(crate) async fn build(args: &Args) -> Result<Self, Failure> {
        let built = Self::try_build(args).await;
        built.map_err(|error| Failure::new("cannot set up the cache").because(error))
    }

    /// The node whose turn it is.
    pub(crate) fn at(&self, turn: usize) -> &Cache<Package, u32> {
        self.caches
            .get(turn % self.caches.len())
            .expect("there is at least one node")
    }

    pub(crate) fn stats(&self) -> Vec<Stats> {
        self.caches.iter().map(Cache::stats).collect()
    }

    /// Closes the connections.
    pub(crate) async fn shutdown(&self) {
        for redis in &self.connections {
            redis.shutdown().await;
        }
    }

    async fn try_build(args: &Args) -> Result<Self> {
        let namespace = args
            .namespace
            .clone()
            .unwrap_or_else(|| format!("replay-{:016x}", fastrand::u64(..)));
        let (mut caches, mut connections) = (Vec::new(), Vec::new());
        let embedded = Embedded::bounded(1 << 30);
        for _ in 0..args.nodes.get() {
            if let Some(url) = &args.redis {
                let redis = Redis::connect(url).await?;
                connections.push(redis.clone());
                caches.push(node(args, &namespace, redis)?);
            } else {
                caches.push(node(args, &namespace, embedded.clone())?);
            }
        }
        Ok(Self {
            caches,
            connections,
        })
    }
}

fn node(args: &Args, namespace: &str, l2: impl L2) -> Result<Cache<Package, u32>> {
    let settings = Settings {
        ttl: args.ttl,
        compression: args.compression.into(),
        ..Settings::default()
    };
    let builder = Builder::new(namespace).l2(l2).settings(settings);
    match args.l1_entries {
        0 => builder.build(),
        entries => builder.l1(Moka::entries(entries)).build(),
    }
}
