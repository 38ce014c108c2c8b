//! What is done to the server, to the way there and to what it holds.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use tiered_examples::{Failure, Moment, Trouble};
use tokio::time::sleep;

use crate::garbage;
use crate::ground::Ground;
use crate::skew::Skew;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// The server is killed, and started again empty.
    Killed,
    /// The server is stopped for a second.
    FrozenBriefly,
    /// The server is stopped for long.
    Frozen,
    /// The server is killed and at once started again, empty.
    RestartedEmpty,
    /// The server is killed and at once started again, and takes long to load its data.
    RestartedLoading,
    /// The server is full and evicts nothing.
    Full,
    /// The server is a replica that cannot be written to.
    ReadOnly,
    /// The server wants another password.
    PasswordChanged,
    /// All connections are ended, 20 times a second.
    ClientsKilled,
    /// All is deleted, once a second.
    Flushed,
    /// The network is cut.
    Cut,
    /// The network takes 200 ms longer each way.
    Delayed,
    /// The network carries 20 kB a second and connection.
    Throttled,
    /// The network swallows all that is sent.
    HalfOpen,
    /// Somebody writes garbage under the cache's keys.
    Garbage,
    /// The clock of one node is 15 minutes ahead, and then 15 minutes behind.
    ClockOff,
}

/// How long faults last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) usual: Duration,
    pub(crate) frozen: Duration,
}

impl Fault {
    /// Lets it happen, from its beginning to its end.
    pub(crate) async fn strike(
        self,
        ground: &mut Ground,
        skew: &mut Skew,
        lengths: Lengths,
    ) -> Result<(), Failure> {
        let lasts = lengths.usual;
        match self {
            Self::Killed => killed(ground, lasts).await,
            Self::FrozenBriefly => frozen(ground, Duration::from_secs(1)).await,
            Self::Frozen => frozen(ground, lengths.frozen).await,
            Self::RestartedEmpty => killed(ground, Duration::ZERO).await,
            Self::RestartedLoading => loading(ground, lasts).await,
            Self::Full => between(ground, ["maxmemory 1mb", "maxmemory 0"], lasts).await,
            Self::ReadOnly => read_only(ground, lasts).await,
            Self::PasswordChanged => password(ground, lasts).await,
            Self::ClientsKilled => clients_killed(ground, lasts).await,
            Self::Flushed => flushed(ground, lasts).await,
            Self::Cut => troubled(ground, Trouble::AllCut, lasts).await,
            Self::Delayed => troubled(ground, Trouble::AllDelayed(DELAY), lasts).await,
            Self::Throttled => troubled(ground, Trouble::AllThrottled(RATE), lasts).await,
            Self::HalfOpen => troubled(ground, Trouble::AllSwallowed, lasts).await,
            Self::Garbage => garbage::litter(&ground.admin, Moment::now().plus(lasts)).await,
            Self::ClockOff => clock_off(skew, lasts).await,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

const DELAY: Duration = Duration::from_millis(200);
/// In bytes a second.
const RATE: u32 = 20_000;
const QUARTER_OF_AN_HOUR: i64 = 15 * 60 * 1_000;

async fn killed(ground: &mut Ground, lasts: Duration) -> Result<(), Failure> {
    ground.server.kill().await?;
    sleep(lasts).await;
    ground.start_again(&[]).await
}

async fn frozen(ground: &Ground, lasts: Duration) -> Result<(), Failure> {
    ground.server.freeze()?;
    sleep(lasts).await;
    ground.server.thaw()
}

/// The server answers LOADING until it has loaded `FILLING` keys, for each of which it sleeps.
async fn loading(ground: &mut Ground, lasts: Duration) -> Result<(), Failure> {
    const FILLING: u32 = 5_000;
    let fill = format!("DEBUG POPULATE {FILLING} filling 100");
    ground.admin.order(&[&fill, "SAVE"]).await?;
    ground.server.kill().await?;
    let micros = (lasts / FILLING).as_micros().to_string();
    let slowly = [
        "--key-load-delay",
        &micros,
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    ground.start_again(&slowly).await?;
    while ground.admin.order(&["DBSIZE"]).await.is_err() {
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Sets the server to the one thing, and after a while to the other.
async fn between(ground: &Ground, settings: [&str; 2], lasts: Duration) -> Result<(), Failure> {
    let [wrong, right] = settings.map(|setting| format!("CONFIG SET {setting}"));
    ground.admin.order(&[wrong]).await?;
    sleep(lasts).await;
    ground.admin.order(&[right]).await?;
    Ok(())
}

async fn read_only(ground: &Ground, lasts: Duration) -> Result<(), Failure> {
    // Nobody listens on port 1.
    ground.admin.order(&["REPLICAOF 127.0.0.1 1"]).await?;
    sleep(lasts).await;
    ground.admin.order(&["REPLICAOF NO ONE"]).await?;
    Ok(())
}

async fn password(ground: &Ground, lasts: Duration) -> Result<(), Failure> {
    let kill = ["CLIENT KILL TYPE normal", "CLIENT KILL TYPE pubsub"];
    let orders = [&["CONFIG SET requirepass another"], kill.as_slice()].concat();
    ground.admin.order(&orders).await?;
    sleep(lasts).await;
    ground.admin.order(&["CONFIG SET requirepass \"\""]).await?;
    Ok(())
}

async fn clients_killed(ground: &Ground, lasts: Duration) -> Result<(), Failure> {
    let end = Moment::now().plus(lasts);
    while Moment::now() < end {
        ground.admin.kill_clients("normal").await?;
        ground.admin.kill_clients("pubsub").await?;
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn flushed(ground: &Ground, lasts: Duration) -> Result<(), Failure> {
    let end = Moment::now().plus(lasts);
    while Moment::now() < end {
        ground.admin.order(&["FLUSHALL"]).await?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn troubled(ground: &Ground, trouble: Trouble, lasts: Duration) -> Result<(), Failure> {
    ground.trouble(trouble);
    sleep(lasts).await;
    ground.trouble(Trouble::None);
    Ok(())
}

async fn clock_off(skew: &mut Skew, lasts: Duration) -> Result<(), Failure> {
    for ahead in [QUARTER_OF_AN_HOUR, -QUARTER_OF_AN_HOUR] {
        skew.set(ahead);
        sleep(lasts / 2).await;
    }
    skew.set(0);
    Ok(())
}
