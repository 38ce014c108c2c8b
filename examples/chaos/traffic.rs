//! Those who use the caches: readers, and a few who change rows.

use std::error::Error;
use std::iter::successors;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tiered::{Answer, BoxError, Cache, Options};
use tiered_examples::Moment;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::keys::Zipf;
use crate::ledger::{Known, Ledger, NODES, Row};
use crate::tally::{Span, Tally};

/// How many keys there are.
pub(crate) const KEYS: u32 = 4_000;

/// What the workers of a row share.
pub(crate) struct World {
    pub(crate) nodes: Vec<Cache<Row, u32>>,
    pub(crate) ledger: Ledger,
    pub(crate) tally: Tally,
    pub(crate) keys: Zipf,
}

/// The workers, who go on until this is dropped.
pub(crate) fn start(world: &Arc<World>, readers: usize) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    for reader in 0..readers {
        workers.spawn(read(Arc::clone(world), reader % NODES));
    }
    for node in 0..NODES {
        for change in [Change::Set, Change::Remove] {
            workers.spawn(write(Arc::clone(world), node, change));
        }
    }
    workers.spawn(watch(Arc::clone(world)));
    workers
}

#[derive(Clone, Copy)]
enum Change {
    Set,
    Remove,
}

async fn read(world: Arc<World>, node: usize) {
    loop {
        let key = world.keys.draw();
        world.read(node, key).await;
        sleep(PAUSE).await;
    }
}

async fn write(world: Arc<World>, node: usize, change: Change) {
    // Each row has one writer: of two, the older could reach L2 last.
    let first = u32::try_from(node * 2).unwrap_or(0) + change as u32;
    loop {
        let key = world.keys.draw() / WRITTEN * WRITTEN + first;
        world.write(node, key % KEYS, change).await;
        sleep(PAUSE_OF_WRITERS).await;
    }
}

async fn watch(world: Arc<World>) {
    loop {
        world.ledger.promote();
        for node in &world.nodes {
            world.tally.note_health(&node.health());
        }
        sleep(Duration::from_millis(10)).await;
    }
}

impl World {
    async fn read(self: &Arc<Self>, node: usize, key: u32) {
        let Some(cache) = self.nodes.get(node) else {
            return;
        };
        let (span, known) = (self.tally.now(), self.ledger.known(node, key));
        let begin = Moment::now();
        let world = Arc::clone(self);
        let call = cache.with(Options::default());
        let answer = call.get_or_load(&key, move || world.load(key)).await;
        let took = Moment::now().since(begin);
        let Some(span) = span else { return };
        span.latencies.note(took);
        self.note(span, known, answer);
    }

    fn note(&self, span: &Span, known: Known, answer: tiered::Result<Answer<Row>>) {
        match answer {
            Ok(answer) => {
                span.stale
                    .fetch_add(answer.is_stale.into(), Ordering::Relaxed);
                let breach = self.ledger.judge(known, &answer);
                if let Some(breach) = breach {
                    self.tally.note_breach(breach);
                }
            }
            Err(error) => {
                span.failed.fetch_add(1, Ordering::Relaxed);
                self.tally.note_error(in_full(&error));
            }
        }
    }

    async fn load(self: Arc<Self>, key: u32) -> Result<Row, BoxError> {
        sleep(Duration::from_millis(1)).await;
        if let Some(span) = self.tally.now() {
            span.loads.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self.ledger.row(key))
    }

    async fn write(&self, node: usize, key: u32, change: Change) {
        let Some(cache) = self.nodes.get(node) else {
            return;
        };
        let row = self.ledger.change(key);
        let done = match change {
            Change::Set => cache.set(&key, row.clone()).await.ok(),
            Change::Remove => cache.remove(&key).await.ok(),
        };
        self.ledger.invalidated(node, &row, done.is_ok());
    }
}

/// An error and what is behind it.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let all = successors(Some(error), |&error| error.source());
    let all: Vec<_> = all.map(ToString::to_string).collect();
    all.join(": ")
}

/// Of a reader between two requests.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSE_OF_WRITERS: Duration = Duration::from_millis(20);
/// One key in so many has each of the writers.
const WRITTEN: u32 = 16;
