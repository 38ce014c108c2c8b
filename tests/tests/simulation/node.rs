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
use crate::view::View;
use crate::world::World;

/// A process: its cache, its tasks, its callers. While it is frozen nothing of it runs, and time goes on.
pub(crate) struct Node {
    pub(crate) life: Life,
    /// `None`: it is leaving.
    pub(crate) cache: Option<Cache<Datum>>,
    pub(crate) frozen_until: Option<Duration>,
    pub(crate) shelf: Shelf,
    view: View,
    pub(crate) books: Arc<Books>,
    world: Arc<World>,
    hand: ManualClock,
    /// What its clock showed at the beginning of the world.
    offset: Duration,
    runtime: Runtime,
    rest: Arc<Rest>,
    left_at: Option<Duration>,
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
        let view = View::new(world, hand.clone().into());
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
            .l1(view.shelf.clone())
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
            shelf: view.shelf.clone(),
            view,
            books,
            left_at: None,
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
            view: self.view.clone(),
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
        self.look();
        let was_called = self.poll_calls();
        if self.world.departures.is_over(self.life) && self.cache.is_some() {
            self.leave();
        }
        if self.world.is_struck(self.life.node) {
            return false;
        }
        let is_idle = self.runtime.handle().metrics().global_queue_depth() == 0;
        if !is_idle {
            self.runtime.block_on(Arc::clone(&self.rest).come());
        }
        self.look();
        was_called || !is_idle
    }

    fn look(&self) {
        if let Some(cache) = &self.cache {
            self.view.look(cache);
        }
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
        self.left_at.get_or_insert(self.world.now());
    }

    /// The same in good order: what is under way comes to its end.
    pub(crate) fn shut_down(&mut self, number: u64) {
        let is_new = !self.world.departures.has(self.life);
        if let Some(caller) = self.caller().filter(|_| is_new) {
            self.world.departures.begin(self.life);
            self.call(number, caller.shut_down());
        }
    }

    /// What has left for so long has nothing to do any more.
    pub(crate) fn judge_end(&self) {
        let settings = &self.world.profile.settings;
        let Some(left_at) = self.left_at.filter(|_| settings.deadlines.aborts) else {
            return;
        };
        let is_over = left_at + self.world.profile.longest_command() * 4 < self.world.now();
        if is_over && self.frozen_until.is_none() && self.tasks() > 0 {
            self.violate(&format!("{} tasks go on after it has left", self.tasks()));
        }
    }

    /// Somebody sets its wall clock.
    pub(crate) fn jump_wall(&self) {
        self.hand.jump_wall(minutes(&self.world));
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
    if world.profile.are_clocks_off {
        hand.jump_wall(minutes(world));
    }
    (hand, offset)
}

/// By how much somebody sets a clock: some minutes either way, in milliseconds.
fn minutes(world: &World) -> i64 {
    i64::try_from(world.dice.below(2_400_000)).unwrap() - 1_200_000
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
