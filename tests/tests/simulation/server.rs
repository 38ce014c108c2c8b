//! The store that all nodes share, as it is reached over wires of which nothing is certain.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use tiered::{Embedded, Error, ErrorKind, L2, ManualClock, NewMark, Result, Version};
use tokio::sync::oneshot;

use crate::world::World;

pub(crate) struct Server {
    pub(crate) store: Embedded,
    pub(crate) hand: ManualClock,
    wires: Mutex<Wires>,
}

struct Wires {
    /// When a node's last change of a key takes effect: its next one comes later.
    lanes: BTreeMap<(usize, String), Duration>,
    down_until: Duration,
    cut_until: Vec<Duration>,
    /// When a node last heard an error.
    failed_at: Vec<Option<Duration>>,
}

/// What a node asks of the server: one command for each key, each with an effect of its own.
pub(crate) struct Question<T> {
    pub(crate) verb: &'static str,
    pub(crate) keys: Vec<String>,
    pub(crate) order: Order,
    pub(crate) run: Run<T>,
}

/// The effect of the command for one key, by its place.
type Run<T> = Box<dyn Fn(&Embedded, usize) -> Result<T> + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// A read: it may pass, and be passed.
    Any,
    /// After all earlier changes of the same key by the same node.
    OfChanges,
    /// One key after the other.
    AsGiven,
}

/// What becomes of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    /// It does not arrive.
    Lost,
    /// It is done, but the node hears of an error, perhaps before that.
    Unsure,
    /// The server cannot take the record.
    Refused,
}

impl Server {
    pub(crate) fn new(nodes: usize) -> Self {
        let hand = ManualClock::new();
        Self {
            store: Embedded::new().with_clock(hand.clone()),
            hand,
            wires: Mutex::new(Wires {
                lanes: BTreeMap::new(),
                down_until: Duration::ZERO,
                cut_until: vec![Duration::ZERO; nodes],
                failed_at: vec![None; nodes],
            }),
        }
    }

    pub(crate) fn down_until(&self, moment: Duration) {
        self.wires().down_until = moment;
    }

    pub(crate) fn cut_until(&self, node: usize, moment: Duration) {
        self.wires().cut_until[node] = moment;
    }

    pub(crate) fn heal(&self) {
        let mut wires = self.wires();
        wires.down_until = Duration::ZERO;
        wires.cut_until.fill(Duration::ZERO);
    }

    /// When this node last heard that the server has failed.
    pub(crate) fn failed_at(&self, node: usize) -> Option<Duration> {
        self.wires().failed_at[node]
    }

    /// Forgets this record.
    pub(crate) fn evict(&self, name: &str) {
        self.store.remove_many(&[name]).now_or_never().unwrap();
    }

    /// Forgets this mark: whoever reads it next finds another one.
    pub(crate) fn evict_mark(&self, name: &str, version: Version) {
        let life = Duration::from_secs(1_000_000);
        let mark = NewMark {
            name,
            version,
            life,
        };
        let written = self.store.write_marks(&[mark]).now_or_never();
        written.unwrap().unwrap();
    }

    fn is_down(&self, now: Duration) -> bool {
        now < self.wires().down_until
    }

    fn is_cut(&self, node: usize, now: Duration) -> bool {
        now < self.wires().cut_until[node]
    }

    /// When a change that would take effect at this moment does.
    fn queue(&self, node: usize, key: &str, moment: Duration) -> Duration {
        let mut wires = self.wires();
        let lane = wires.lanes.entry((node, key.to_owned())).or_default();
        *lane = moment.max(*lane);
        *lane
    }

    fn note_failure(&self, node: usize, now: Duration) {
        self.wires().failed_at[node] = Some(now);
    }

    fn wires(&self) -> MutexGuard<'_, Wires> {
        self.wires.lock().unwrap()
    }
}

/// Sends the commands of a question on their way. They take effect whether or not anybody waits for the answer.
pub(crate) async fn ask<T: Send + 'static>(
    world: &Arc<World>,
    node: usize,
    question: Question<T>,
) -> Vec<Result<T>> {
    if question.keys.is_empty() {
        return Vec::new();
    }
    let count = question.keys.len();
    let (reply, wait) = oneshot::channel();
    let errand = Arc::new(Errand {
        world: Arc::clone(world),
        node,
        question,
        answers: Mutex::new((0..count).map(|_| None).collect()),
        reply: Mutex::new(Some(reply)),
    });
    let mut earliest = world.now();
    for place in 0..count {
        let effect = errand.send(place, earliest);
        if errand.question.order == Order::AsGiven {
            earliest = effect;
        }
    }
    drop(errand);
    wait.await
        .unwrap_or_else(|_| (0..count).map(|_| Err(silent())).collect())
}

/// A question on its way, and what has come back of it.
struct Errand<T> {
    world: Arc<World>,
    node: usize,
    question: Question<T>,
    answers: Mutex<Vec<Option<Result<T>>>>,
    reply: Mutex<Option<oneshot::Sender<Vec<Result<T>>>>>,
}

impl<T: Send + 'static> Errand<T> {
    /// Sends one command. When it is to take effect.
    fn send(self: &Arc<Self>, place: usize, earliest: Duration) -> Duration {
        let (world, profile) = (&self.world, &self.world.profile);
        let fate = self.fate();
        let effect = earliest + profile.l2.draw(&world.dice);
        let effect = match self.question.order {
            Order::OfChanges => {
                let key = &self.question.keys[place];
                world.server.queue(self.node, key, effect)
            }
            Order::Any | Order::AsGiven => effect,
        };
        if fate != Fate::Done {
            world.journal.count("l2: commands failed");
            let late = world.now() + world.dice.up_to(profile.timeout);
            let errand = Arc::clone(self);
            let error = if fate == Fate::Refused {
                unstorable
            } else {
                silent
            };
            world
                .timeline
                .at(late, move || errand.answer(place, Err(error())));
        }
        if matches!(fate, Fate::Done | Fate::Unsure) {
            let errand = Arc::clone(self);
            world.timeline.at(effect, move || errand.act(place, fate));
        }
        effect
    }

    fn fate(&self) -> Fate {
        let (world, chances) = (&self.world, self.world.profile.chances);
        let is_write = matches!(self.question.verb, "set" | "fill");
        if world.server.is_cut(self.node, world.now()) {
            Fate::Lost
        } else if is_write && world.strikes(chances.l2_refuses) {
            Fate::Refused
        } else if world.strikes(chances.l2_fails) {
            *world.dice.pick(&[Fate::Lost, Fate::Unsure])
        } else {
            Fate::Done
        }
    }

    /// The command has arrived.
    fn act(self: &Arc<Self>, place: usize, fate: Fate) {
        let world = &self.world;
        let key = || format!("{} {}", self.question.verb, self.question.keys[place]);
        if world.server.is_down(world.now()) {
            world.say(|| format!("l2: node {} {}: down", self.node, key()));
            if fate == Fate::Done {
                self.answer(place, Err(silent()));
            }
            return;
        }
        let answer = (self.question.run)(&world.server.store, place);
        world.say(|| format!("l2: node {} {} {fate:?}", self.node, key()));
        if fate == Fate::Done {
            self.answer(place, answer);
        }
    }

    /// The answers go back when all are there.
    fn answer(self: &Arc<Self>, place: usize, answer: Result<T>) {
        let mut answers = self.answers.lock().unwrap();
        answers[place] = Some(answer);
        if answers.iter().any(Option::is_none) {
            return;
        }
        let answers: Vec<_> = answers.drain(..).flatten().collect();
        let (world, errand) = (&self.world, Arc::clone(self));
        let moment = world.now() + world.profile.l2.draw(&world.dice);
        world.timeline.at(moment, move || errand.reply(answers));
    }

    fn reply(&self, mut answers: Vec<Result<T>>) {
        let (world, now) = (&self.world, self.world.now());
        if world.server.is_cut(self.node, now) {
            answers.fill_with(|| Err(silent()));
        }
        if answers.iter().any(Result::is_err) {
            world.server.note_failure(self.node, now);
        }
        world.say(|| {
            format!(
                "l2: reply to node {}: {}",
                self.node,
                self.summary(&answers)
            )
        });
        if let Some(reply) = self.reply.lock().unwrap().take() {
            // Whoever has asked may be gone.
            let _ = reply.send(answers);
        }
    }

    fn summary(&self, answers: &[Result<T>]) -> String {
        let errors = answers.iter().filter(|answer| answer.is_err()).count();
        let question = &self.question;
        format!(
            "{} {}, {errors} failed",
            question.verb,
            question.keys.join(" ")
        )
    }
}

fn silent() -> Error {
    Error::new(ErrorKind::Timeout, "the server does not answer")
}

fn unstorable() -> Error {
    Error::new(ErrorKind::Unstorable, "the server cannot take it")
}
