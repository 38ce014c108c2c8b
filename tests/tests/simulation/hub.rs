//! What carries messages between the nodes: one server, which gives them their order, and a line to each hearer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tiered::{Backplane, Error, ErrorKind, News, Result, Subscription};
use tokio::sync::Notify;

use crate::world::World;

#[derive(Default)]
pub(crate) struct Hub(Mutex<State>);

#[derive(Default)]
struct State {
    count: u64,
    ears: BTreeMap<u64, Line>,
    /// When a node's last message reaches the server.
    lanes: BTreeMap<usize, Duration>,
    /// Nothing can be sent until then.
    away_until: Duration,
    /// Nobody says so.
    hangs: bool,
}

/// The line to one hearer.
struct Line {
    node: usize,
    is_subscribed: bool,
    /// How often it was interrupted: what was on its way is gone.
    cuts: u64,
    /// When the last news arrives.
    last: Duration,
    arrived: VecDeque<News>,
    bell: Arc<Notify>,
}

/// A node's way to the hub.
#[derive(Clone)]
pub(crate) struct Mouth {
    pub(crate) world: Arc<World>,
    pub(crate) node: usize,
}

struct Ear {
    world: Arc<World>,
    name: u64,
    bell: Arc<Notify>,
}

impl Hub {
    /// Interrupts the lines to a node. Nobody knows yet.
    pub(crate) fn cut(&self, node: usize) {
        for line in self.state().lines_of(node) {
            line.is_subscribed = false;
            line.cuts += 1;
        }
    }

    /// Nothing can be sent until then; perhaps nobody says so.
    pub(crate) fn be_away(&self, until: Duration, hangs: bool) {
        let mut state = self.state();
        state.away_until = until;
        state.hangs = hangs;
    }

    /// It is, and whether nobody says so.
    fn is_away(&self, now: Duration) -> Option<bool> {
        let state = self.state();
        (now < state.away_until).then_some(state.hangs)
    }

    fn names_of(&self, node: usize) -> Vec<u64> {
        let state = self.state();
        let names = state.ears.iter().filter(|(_, line)| line.node == node);
        names.map(|(name, _)| *name).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn lines_of(&mut self, node: usize) -> impl Iterator<Item = &mut Line> {
        self.ears.values_mut().filter(move |line| line.node == node)
    }
}

/// Lets a node hear again, after a gap.
pub(crate) fn restore(world: &Arc<World>, node: usize) {
    for name in world.hub.names_of(node) {
        subscribe(world, name);
    }
}

/// More news for a node than there was room for.
pub(crate) fn overflow(world: &Arc<World>, node: usize) {
    for name in world.hub.names_of(node) {
        let is_subscribed = {
            let mut state = world.hub.state();
            let line = state.ears.get_mut(&name).unwrap();
            line.cuts += 1;
            line.is_subscribed
        };
        if is_subscribed {
            deliver(world, name, News::Gap);
        }
    }
}

fn subscribe(world: &Arc<World>, name: u64) {
    let is_new = {
        let mut state = world.hub.state();
        let line = state.ears.get_mut(&name);
        line.is_some_and(|line| !std::mem::replace(&mut line.is_subscribed, true))
    };
    if is_new {
        deliver(world, name, News::Gap);
    }
}

/// Sends news down a line, behind all that is on it.
fn deliver(world: &Arc<World>, name: u64, news: News) {
    let delay = world.profile.deliver.draw(&world.dice);
    let mut state = world.hub.state();
    let Some(line) = state.ears.get_mut(&name).filter(|line| line.is_subscribed) else {
        return;
    };
    line.last = line.last.max(world.now() + delay);
    let (moment, cuts, far) = (line.last, line.cuts, Arc::clone(world));
    drop(state);
    world
        .timeline
        .at(moment, move || arrive(&far, name, (cuts, news)));
}

fn arrive(world: &Arc<World>, name: u64, (cuts, news): (u64, News)) {
    let mut state = world.hub.state();
    let line = state.ears.get_mut(&name);
    let Some(line) = line.filter(|line| line.cuts == cuts) else {
        return;
    };
    world.say(|| format!("bus: node {} hears {}", line.node, text(&news)));
    line.arrived.push_back(news);
    line.bell.notify_one();
}

/// A message has reached the server.
fn spread(world: &Arc<World>, node: usize, message: &Bytes) {
    world.say(|| format!("bus: node {node} says {}", words(message)));
    let names: Vec<_> = world.hub.state().ears.keys().copied().collect();
    let chances = world.profile.chances;
    for name in names {
        if world.strikes(chances.is_lost) {
            world.journal.count("bus: messages lost");
            world.say(|| format!("bus: lost for line {name}"));
            continue;
        }
        deliver(world, name, News::Message(message.clone()));
        if world.strikes(chances.comes_twice) {
            world.journal.count("bus: messages repeated");
            let (far, message) = (Arc::clone(world), message.clone());
            let later = world.now() + world.dice.up_to(Duration::from_millis(600));
            let repeat = move || deliver(&far, name, News::Message(message));
            world.timeline.at(later, repeat);
        }
    }
}

#[async_trait]
impl Backplane for Mouth {
    async fn publish(&self, _namespace: &str, message: Bytes) -> Result<()> {
        let world = &self.world;
        if let Some(hangs) = world.hub.is_away(world.now()) {
            return away(world, hangs).await;
        }
        let (fails, is_sent) = if world.strikes(world.profile.chances.publish_fails) {
            world.journal.count("bus: publishing failed");
            (true, world.dice.one_in(2))
        } else {
            (false, true)
        };
        let moment = world.now() + world.profile.publish.draw(&world.dice);
        let moment = {
            let mut state = world.hub.state();
            let lane = state.lanes.entry(self.node).or_default();
            *lane = moment.max(*lane);
            *lane
        };
        if is_sent {
            let (far, node) = (Arc::clone(world), self.node);
            world
                .timeline
                .at(moment, move || spread(&far, node, &message));
        }
        let answer = moment + world.profile.publish.draw(&world.dice);
        world.timeline.reach(answer).await;
        if fails {
            return Err(deaf());
        }
        Ok(())
    }

    fn subscribe(&self, _namespace: &str) -> Box<dyn Subscription> {
        let (world, bell) = (Arc::clone(&self.world), Arc::new(Notify::new()));
        let mut state = world.hub.state();
        state.count += 1;
        let name = state.count;
        let line = Line {
            node: self.node,
            is_subscribed: false,
            cuts: 0,
            last: Duration::ZERO,
            arrived: VecDeque::new(),
            bell: Arc::clone(&bell),
        };
        state.ears.insert(name, line);
        drop(state);
        let moment = world.now() + world.profile.publish.draw(&world.dice);
        let far = Arc::clone(&world);
        world.timeline.at(moment, move || subscribe(&far, name));
        Box::new(Ear { world, name, bell })
    }
}

#[async_trait]
impl Subscription for Ear {
    async fn next(&mut self) -> Option<News> {
        loop {
            let news = {
                let mut state = self.world.hub.state();
                let line = state.ears.get_mut(&self.name)?;
                line.arrived.pop_front()
            };
            if news.is_some() {
                return news;
            }
            self.bell.notified().await;
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let line = self.world.hub.state().ears.remove(&self.name);
        drop(line);
    }
}

/// What a message comes to while the hub is away.
async fn away(world: &Arc<World>, hangs: bool) -> Result<()> {
    world.journal.count("bus: publishing failed");
    if hangs {
        std::future::pending::<()>().await;
    }
    let pause = world.profile.publish.draw(&world.dice);
    world.timeline.pause(pause).await;
    Err(deaf())
}

fn deaf() -> Error {
    Error::new(ErrorKind::Timeout, "the hub does not answer")
}

fn text(news: &News) -> String {
    match news {
        News::Gap => "a gap".to_owned(),
        News::Message(message) => words(message),
        News::Touched(names) => format!("touched {names:?}"),
    }
}

fn words(message: &Bytes) -> String {
    String::from_utf8_lossy(message).replace('\n', " | ")
}
