//! The cache in thirty lines: two nodes with an L1 each, one L2 that they share, a slow table behind.
//!
//! `cargo run --example quickstart` needs no server; with `-- --redis redis://127.0.0.1:6379` the L2 is a real one.

use std::convert::Infallible;
use std::fmt::Display;
use std::iter::successors;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tiered::{Answer, BoxError, Cache, Embedded, L2, Moka, Options, Redis};
use tiered::{Removed, Result, Source, Written};

#[derive(Serialize, Deserialize)]
struct User {
    name: String,
}

impl User {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }
}

async fn tour(l2: impl L2 + Clone) -> Result<()> {
    let (a, b) = (node(l2.clone())?, node(l2)?);
    // `a.get_or_load(…)` answers with the user alone; seen through `with`, also with the source.
    let (one, other) = (a.with(Options::default()), b.with(Options::default()));

    let ada = || find("1");
    show("load 1", one.get_or_load("1", ada)).await?;
    show("load 1 again", one.get_or_load("1", ada)).await?;
    show("load 1 on the other node", other.get_or_load("1", ada)).await?;

    let nobody = || find("9");
    show("load 9", one.get_or_load("9", nobody)).await?;
    show("load 9 again", one.get_or_load("9", nobody)).await?;

    show("set 2", a.set("2", User::named("Grace"))).await.ok()?;
    show("get 2 on the other node", other.get("2")).await;

    let batch = one.get_many_or_load(["1", "2", "3", "4"], find_many);
    show("load 1, 2, 3, 4", batch).await;

    show("remove 2", a.remove("2")).await.ok()?;
    show("get 2", one.get("2")).await;
    heard().await;
    show("get 2 on the other node", other.get("2")).await;

    let team = other.tags(&["team:7"]);
    show("load 2 with a tag", team.get_or_load("2", || find("2"))).await?;
    a.remove_tag("team:7").await?;
    heard().await;
    show("get 2, its tag removed", other.get("2")).await;

    let removed = show("remove 1, 3, 4, 9", a.remove_many(["1", "3", "4", "9"])).await;
    removed.ok()
}

/// The other node hears of a change after a moment; with a Redis in between, in about a millisecond.
async fn heard() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn node(l2: impl L2) -> Result<Cache<User>> {
    Cache::builder("quickstart")
        .l1(Moka::entries(10_000))
        .l2(l2)
        .build()
}

/// The source of truth, which takes its time.
async fn find(id: &'static str) -> Result<Option<User>, Infallible> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(row(id))
}

async fn find_many(ids: Vec<String>) -> Result<Vec<(String, User)>, Infallible> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(ids
        .into_iter()
        .filter_map(|id| row(&id).map(|user| (id, user)))
        .collect())
}

fn row(id: &str) -> Option<User> {
    let names = [
        ("1", "Ada"),
        ("2", "Grace"),
        ("3", "Alan"),
        ("4", "Barbara"),
    ];
    let (_, name) = names.iter().find(|(known, _)| *known == id)?;
    Some(User::named(name))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            for cause in successors(error.source(), |&error| error.source()) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => tour(Embedded::new()).await?,
        ["--redis", url] => {
            let redis = Redis::connect(url).await?;
            tour(redis.clone()).await?;
            redis.shutdown().await;
        }
        _ => {
            return Err(
                "usage: quickstart [--redis redis://user:password@host:port/database]".into(),
            );
        }
    }
    Ok(())
}

/// Does it, and prints who answered what and in what time.
async fn show<T: Told>(what: &str, work: impl Future<Output = T>) -> T {
    #[expect(
        clippy::disallowed_methods,
        reason = "a program may look at the clock as it likes"
    )]
    let begin = Instant::now();
    let outcome = work.await;
    let took = begin.elapsed().as_micros();
    println!("{what:<26}{took:>7} µs   {}", outcome.told());
    outcome
}

trait Told {
    fn told(&self) -> String;
}

impl Told for Answer<User> {
    fn told(&self) -> String {
        let tier = match self.source {
            Source::L1 => "L1",
            Source::L2 => "L2",
            Source::Loader => "loader",
        };
        let name = self
            .value
            .as_ref()
            .map_or("no such user", |user| &user.name);
        format!("{tier}: {name}")
    }
}

impl Told for Option<Answer<User>> {
    fn told(&self) -> String {
        self.as_ref().map_or("nothing known".to_owned(), Told::told)
    }
}

impl<T: Told, E: Display> Told for Result<T, E> {
    fn told(&self) -> String {
        self.as_ref().map_or_else(ToString::to_string, Told::told)
    }
}

impl<T: Told> Told for Vec<T> {
    fn told(&self) -> String {
        let all: Vec<_> = self.iter().map(Told::told).collect();
        all.join(", ")
    }
}

impl Told for Written {
    fn told(&self) -> String {
        format!("L1: {:?}, L2: {:?}", self.l1, self.l2)
    }
}

impl Told for Removed {
    fn told(&self) -> String {
        format!("{} had been there", self.present)
    }
}
