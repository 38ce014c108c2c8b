use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tiered::{Cache, ManualClock, Random};
use tokio::runtime::Runtime;

use crate::books::Books;
use crate::caller::{Caller, Deed};
use crate::datum::{Datum, Plain};
use crate::hub::Mouth;
use crate::ledger::Life;
use crate::link::Link;
use crate::shelf::Shelf;
use crate::world::World;

/// A process: its cache, its tasks, its callers. While it is frozen nothing of it runs, and time goes on.
pub(crate) struct Node {
    pub(crate) life: Life,
    /// `None`: it is leaving.
    pub(crate) cache: Option<Cache<Datum>>,
    pub(crate) frozen_until: Option<Duration>,
    pub(crate) shelf: Shelf,
    pub(crate) books: Arc<Books>,
    world: Arc<World>,
    hand: ManualClock,
    /// What its clock showed at the beginning of the world.
    offset: Duration,
    runtime: Runtime,
    rest: Arc<Rest>,
    calls: BTreeMap<u64, Call>,
}

/// Something that a caller does on this node.
struct Call {
    what: String,
    work: BoxFuture<'static, ()>,
    may_be_dropped: bool,
    bell: Arc<Bell>,
    waker: Waker,
}

impl Node {
    pub(crate) fn start(world: &Arc<World>, life: Life) -> Self {
        let (hand, offset) = clock(world);
        let rest = Arc::new(Rest::default());
        let books = Arc::new(Books::default());
        let shelf = Shelf::new(world.dice.clone(), world.profile.chances.l1_forgets);
        let (link, mouth) = (
            Link {
                world: Arc::clone(world),
                node: life.node,
                books: Arc::clone(&books),
            },
            Mouth {
                world: Arc::clone(world),
                node: life.node,
            },
        );
        let cache = Cache::builder("sim")
            .l1(shelf.clone())
            .l2_with(link, Plain)
            .backplane(mouth)
            .settings(world.profile.settings.clone())
            .clock(hand.clone())
            .random(Random::seeded(world.dice.bits()))
            .build()
            .unwrap();
        Self {
            life,
            cache: Some(cache),
            frozen_until: None,
            shelf,
            books,
            world: Arc::clone(world),
            hand,
            offset,
            runtime: runtime(&rest),
            rest,
            calls: BTreeMap::new(),
        }
    }

    pub(crate) fn caller(&self) -> Option<Caller> {
        Some(Caller {
            world: Arc::clone(&self.world),
            cache: self.cache.clone()?,
            life: self.life,
            books: Arc::clone(&self.books),
        })
    }

    /// Begins a call, and lets it run as far as it comes by itself.
    pub(crate) fn call(&mut self, number: u64, deed: Deed) {
        let Deed {
            what,
            work,
            may_be_dropped,
        } = deed;
        self.world
            .say(|| format!("node {}: call {number}: {what}", self.life));
        let bell = Arc::new(Bell(AtomicBool::new(true)));
        let call = Call {
            what,
            work,
            may_be_dropped,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        };
        self.calls.insert(number, call);
        self.poll_calls();
    }

    /// Somebody reads everything, before anything else of the node runs.
    pub(crate) fn visit(&mut self, number: u64) {
        if let Some(caller) = self.caller() {
            self.call(number, caller.visit());
        }
    }

    /// Lets everything run until it waits. Whether there was anything to do.
    pub(crate) fn run(&mut self) -> bool {
        if self.frozen_until.is_some() {
            return false;
        }
        let was_called = self.poll_calls();
        if self.world.is_struck(self.life.node) {
            return false;
        }
        let is_idle = self.runtime.handle().metrics().global_queue_depth() == 0;
        if !is_idle {
            self.runtime.block_on(Arc::clone(&self.rest).come());
        }
        was_called || !is_idle
    }

    fn poll_calls(&mut self) -> bool {
        let _guard = self.runtime.enter();
        let mut ended = Vec::new();
        let mut has_run = false;
        for (number, call) in &mut self.calls {
            if !call.bell.0.swap(false, Ordering::Relaxed) {
                continue;
            }
            has_run = true;
            let context = &mut Context::from_waker(&call.waker);
            if call.work.as_mut().poll(context).is_ready() {
                ended.push(*number);
            }
        }
        for number in ended {
            let call = self.calls.remove(&number);
            self.world
                .say(|| format!("node {}: call {number} has ended", self.life));
            drop(call);
        }
        has_run
    }

    /// A caller goes away.
    pub(crate) fn drop_call(&mut self) {
        let may_go = self.calls.iter().filter(|(_, call)| call.may_be_dropped);
        let numbers: Vec<_> = may_go.map(|(number, _)| *number).collect();
        if numbers.is_empty() {
            return;
        }
        let number = self.world.dice.pick(&numbers);
        let _guard = self.runtime.enter();
        self.world.journal.count("callers gone");
        self.world
            .say(|| format!("node {}: call {number} is dropped", self.life));
        self.calls.remove(number);
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.values().map(|call| call.what.clone()).collect()
    }

    pub(crate) fn tasks(&self) -> usize {
        self.runtime.handle().metrics().num_alive_tasks()
    }

    /// No callers any more, and no handle: the node says goodbye.
    pub(crate) fn leave(&mut self) {
        let _guard = self.runtime.enter();
        self.calls.clear();
        self.cache = None;
    }

    /// Ends in the middle of whatever it does: its tasks go first, so that nothing is finished on the way out.
    pub(crate) fn crash(self) {
        drop(self.runtime);
    }

    pub(crate) fn violate(&self, what: &str) {
        self.world
            .journal
            .violate(format!("node {}: {what}", self.life));
    }

    /// The next moment that one of its tasks waits for.
    pub(crate) fn next_wake(&self) -> Option<Duration> {
        if let Some(moment) = self.frozen_until {
            return Some(moment);
        }
        let nanos = u64::try_from(self.hand.next_wake()?.nanos()).unwrap();
        Some(Duration::from_nanos(nanos).saturating_sub(self.offset))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.hand.advance(by);
    }
}

/// A clock that shows the world's time, but has begun at some other moment.
fn clock(world: &World) -> (ManualClock, Duration) {
    let hand = ManualClock::new();
    let offset = Duration::from_millis(world.dice.bits() % 10_000_000);
    hand.advance(world.now() + offset);
    hand.jump_wall(-i64::try_from(offset.as_millis()).unwrap());
    (hand, offset)
}

fn runtime(rest: &Arc<Rest>) -> Runtime {
    let rest = Arc::clone(rest);
    tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || rest.is_here())
        .build()
        .unwrap()
}

/// A caller may go on.
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Comes when a runtime has nothing more to do.
#[derive(Default)]
struct Rest {
    has_come: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Rest {
    fn is_here(&self) {
        self.has_come.store(true, Ordering::Relaxed);
        if let Some(waker) = self.waker.lock().unwrap().take() {
            waker.wake();
        }
    }

    async fn come(self: Arc<Self>) {
        self.has_come.store(false, Ordering::Relaxed);
        std::future::poll_fn(|context| {
            if self.has_come.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            *self.waker.lock().unwrap() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
