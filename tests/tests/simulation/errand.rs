//! Commands on their way to the server, and what comes back of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tiered::{Embedded, Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::troubles::Use;
use crate::world::World;

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
    let mut patience = Patience {
        world: Arc::clone(world),
        node,
        what: Use::of(question.verb),
        is_over: false,
    };
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
    match wait.await {
        Ok(answers) => {
            patience.is_over = true;
            answers
        }
        // It was swallowed.
        Err(_) => std::future::pending().await,
    }
}

/// Somebody waits for the server. To give that up is to hear that it has failed.
struct Patience {
    world: Arc<World>,
    node: usize,
    what: Use,
    is_over: bool,
}

impl Drop for Patience {
    fn drop(&mut self) {
        if !self.is_over {
            let world = &self.world;
            world.server.note_failure(self.node, self.what, world.now());
            world.journal.count("l2: questions given up");
        }
    }
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
        let world = &self.world;
        let fate = self.fate();
        let effect = earliest + self.way();
        let effect = match self.question.order {
            Order::OfChanges => {
                let key = &self.question.keys[place];
                world.server.queue(self.node, key, effect)
            }
            Order::Any | Order::AsGiven => effect,
        };
        if fate != Fate::Done {
            self.send_error(place, fate);
        }
        if matches!(fate, Fate::Done | Fate::Unsure) {
            let errand = Arc::clone(self);
            world.timeline.at(effect, move || errand.act(place, fate));
        }
        effect
    }

    fn send_error(self: &Arc<Self>, place: usize, fate: Fate) {
        let (world, errand) = (&self.world, Arc::clone(self));
        world.journal.count("l2: commands failed");
        let late = world.now() + world.dice.up_to(world.profile.timeout);
        let error = if fate == Fate::Refused {
            unstorable
        } else {
            silent
        };
        world
            .timeline
            .at(late, move || errand.answer(place, Err(error())));
    }

    /// How long it takes one way.
    fn way(&self) -> Duration {
        let (world, now) = (&self.world, self.world.now());
        let slowness = world.server.wires().troubles.slowness(now);
        let way = world.profile.l2.draw(&world.dice);
        if slowness.is_zero() {
            way
        } else {
            way + world.dice.up_to(slowness)
        }
    }

    fn fate(&self) -> Fate {
        let (world, chances) = (&self.world, self.world.profile.chances);
        let is_store = matches!(self.question.verb, "set" | "fill");
        let is_cut = {
            let wires = world.server.wires();
            wires.troubles.is_cut(self.node, world.now())
        };
        if is_cut {
            Fate::Lost
        } else if is_store && world.strikes(chances.l2_refuses) {
            Fate::Refused
        } else if world.strikes(chances.l2_fails) {
            *world.dice.pick(&[Fate::Lost, Fate::Unsure])
        } else {
            Fate::Done
        }
    }

    /// The command has arrived.
    fn act(self: &Arc<Self>, place: usize, fate: Fate) {
        let (world, now) = (&self.world, self.world.now());
        let (verb, key) = (self.question.verb, &self.question.keys[place]);
        let what = Use::of(verb);
        let say = |how: &str| world.say(|| format!("l2: node {} {verb} {key}: {how}", self.node));
        let error = {
            let troubles = &world.server.wires().troubles;
            if troubles.swallows(what, now) {
                return say("swallowed");
            }
            if let Some(until) = troubles.stopped_until(what, now) {
                say("it stands still");
                return self.stand_still(place, fate, until);
            }
            if troubles.is_down(now) {
                say("down");
                Some(silent())
            } else if troubles.denies(verb, now) {
                say("denied");
                Some(unwilling())
            } else {
                None
            }
        };
        let answer = error.map_or_else(|| self.carry_out(place), Err);
        if fate == Fate::Done {
            self.answer(place, answer);
        }
    }

    /// What has arrived waits until the server goes on, in its order.
    fn stand_still(self: &Arc<Self>, place: usize, fate: Fate, until: Duration) {
        let (world, errand) = (&self.world, Arc::clone(self));
        world.stopped.push(move || errand.act(place, fate));
        let far = Arc::clone(world);
        world.timeline.at(until, move || far.stopped.release());
    }

    fn carry_out(&self, place: usize) -> Result<T> {
        let world = &self.world;
        let (verb, key) = (self.question.verb, &self.question.keys[place]);
        world.say(|| format!("l2: node {} {verb} {key}", self.node));
        world.server.note_change(verb, key, world.now());
        (self.question.run)(&world.server.store, place)
    }

    /// The answers go back when all are there.
    fn answer(self: &Arc<Self>, place: usize, answer: Result<T>) {
        let mut answers = self.answers.lock().unwrap();
        answers[place] = Some(answer);
        if answers.iter().any(Option::is_none) {
            return;
        }
        let answers: Vec<_> = answers.drain(..).flatten().collect();
        let errand = Arc::clone(self);
        let moment = self.world.now() + self.way();
        self.world
            .timeline
            .at(moment, move || errand.reply(answers));
    }

    fn reply(&self, mut answers: Vec<Result<T>>) {
        let (world, now) = (&self.world, self.world.now());
        let what = Use::of(self.question.verb);
        if world.server.wires().troubles.is_cut(self.node, now) {
            answers.fill_with(|| Err(silent()));
        }
        if answers.iter().any(Result::is_err) {
            world.server.note_failure(self.node, what, now);
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

fn unwilling() -> Error {
    Error::new(ErrorKind::Unavailable, "the server changes nothing")
}

fn unstorable() -> Error {
    Error::new(ErrorKind::Unstorable, "the server cannot take it")
}
