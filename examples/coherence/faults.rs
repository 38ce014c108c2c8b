use std::time::Duration;

use rustix::process::Pid;
use tiered_examples::{Address, Failure, Moment, Proxy, Trouble, freeze, thaw};
use tokio::time::sleep;

/// Who suffers, and how much.
pub(crate) struct Faults {
    pub(crate) redis: Address,
    /// The ways of some processes to it, by their numbers.
    pub(crate) proxies: Vec<(usize, Proxy)>,
    /// The process that is frozen now and then.
    pub(crate) sleeper: (usize, Pid),
    pub(crate) frozen_for: Duration,
    /// How long a way is frozen or cut at most.
    pub(crate) away: Duration,
    /// The pauses between two faults, on average.
    pub(crate) pause: Duration,
}

/// What was done to processes, and when.
pub(crate) struct Injury {
    pub(crate) name: &'static str,
    /// To whom; `None`: to all.
    process: Option<usize>,
    pub(crate) from: Moment,
    pub(crate) to: Moment,
    pub(crate) is_freeze: bool,
}

impl Injury {
    pub(crate) fn concerns(&self, process: usize) -> bool {
        self.process.is_none_or(|injured| injured == process)
    }
}

impl Faults {
    /// Injects faults at random moments until shortly before `end`, so that the last one is over by then.
    pub(crate) async fn inject(
        &self,
        rng: &mut fastrand::Rng,
        end: Moment,
    ) -> Result<Vec<Injury>, Failure> {
        let freezes = self.freeze_now_and_then(rng.fork(), end);
        let (mut injuries, freezes) = tokio::try_join!(self.trouble(rng.fork(), end), freezes)?;
        end.reached().await;
        injuries.extend(freezes);
        Ok(injuries)
    }

    /// Troubles the connections: each kind of trouble once, then again in another order.
    async fn trouble(&self, mut rng: fastrand::Rng, end: Moment) -> Result<Vec<Injury>, Failure> {
        let (mut done, mut deck) = (Vec::new(), Vec::new());
        loop {
            sleep(around(self.pause, &mut rng)).await;
            if Moment::now().plus(self.away + TAIL) > end {
                return Ok(done);
            }
            if deck.is_empty() {
                deck.extend(ALL);
                rng.shuffle(&mut deck);
            }
            if let Some((name, fault)) = deck.pop() {
                let from = Moment::now();
                let process = self.strike(fault, &mut rng).await?;
                done.push(Injury {
                    name,
                    process,
                    from,
                    to: Moment::now(),
                    is_freeze: false,
                });
            }
        }
    }

    /// Does it, and says to which process.
    async fn strike(
        &self,
        fault: Fault,
        rng: &mut fastrand::Rng,
    ) -> Result<Option<usize>, Failure> {
        match fault {
            Fault::Kill(kind) => {
                self.redis.kill_clients(kind).await?;
                Ok(None)
            }
            Fault::Trouble(trouble) => {
                let Some((process, proxy)) = rng.choice(&self.proxies) else {
                    return Ok(None);
                };
                proxy.set(trouble);
                sleep(self.away.mul_f64(0.25 + 0.75 * rng.f64())).await;
                proxy.set(Trouble::None);
                Ok(Some(*process))
            }
        }
    }

    async fn freeze_now_and_then(
        &self,
        mut rng: fastrand::Rng,
        end: Moment,
    ) -> Result<Vec<Injury>, Failure> {
        let mut done = Vec::new();
        loop {
            sleep(around(self.pause, &mut rng)).await;
            let (from, to) = (Moment::now(), Moment::now().plus(self.frozen_for));
            if to.plus(TAIL) > end {
                return Ok(done);
            }
            freeze(self.sleeper.1)?;
            to.reached().await;
            done.push(Injury {
                name: "a process frozen",
                process: Some(self.sleeper.0),
                from,
                to: Moment::now(),
                is_freeze: true,
            });
            thaw(self.sleeper.1)?;
            sleep(self.pause).await;
        }
    }
}

#[derive(Clone, Copy)]
enum Fault {
    Kill(&'static str),
    Trouble(Trouble),
}

const ALL: [(&str, Fault); 6] = [
    ("all command connections killed", Fault::Kill("normal")),
    ("all listeners killed", Fault::Kill("pubsub")),
    ("a listener frozen", Fault::Trouble(Trouble::ListenerFrozen)),
    ("a listener cut off", Fault::Trouble(Trouble::ListenerCut)),
    (
        "a process's way to Redis frozen",
        Fault::Trouble(Trouble::AllFrozen),
    ),
    (
        "a process cut off from Redis",
        Fault::Trouble(Trouble::AllCut),
    ),
];

/// What is left for the processes to recover in.
const TAIL: Duration = Duration::from_millis(500);

fn around(average: Duration, rng: &mut fastrand::Rng) -> Duration {
    average.mul_f64(0.25 + 1.5 * rng.f64())
}
