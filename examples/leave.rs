//! A service that leaves in order: on SIGTERM or Ctrl-C it takes no more requests, and lets its cache finish what is under
//! way.
//!
//! `cargo run --example leave`, and `kill` it, or press Ctrl-C; with `-- --redis redis://127.0.0.1:6379` the L2 is a
//! real one. It exits with 0 if nothing was lost.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use tiered::{BoxError, Cache, Embedded, Farewell, L2, Moka, Redis};
use tokio::signal;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// An orchestrator that sends SIGTERM kills after a while, Kubernetes after 30 seconds: leave some of that for the rest.
const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(farewell) => {
            println!("left: {farewell:?}");
            ExitCode::from(u8::from(!farewell.is_complete()))
        }
        Err(error) => {
            eprintln!("leave: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Farewell, BoxError> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => serve(Embedded::new()).await,
        ["--redis", url] => {
            let redis = Redis::connect(url).await?;
            let farewell = serve(redis.clone()).await;
            redis.shutdown().await;
            farewell
        }
        _ => Err("usage: leave [--redis redis://user:password@host:port/database]".into()),
    }
}

async fn serve(l2: impl L2) -> Result<Farewell, BoxError> {
    let users: Cache<String> = Cache::builder("leave")
        .l1(Moka::entries(10_000))
        .l2(l2)
        .build()?;
    let mut requests = JoinSet::new();
    let mut stop = std::pin::pin!(stop_signal());
    println!("serving; process {}", std::process::id());
    for id in 0_u32.. {
        tokio::select! {
            biased;
            stopped = &mut stop => {
                stopped?;
                break;
            }
            () = sleep(Duration::from_millis(5)) => {
                requests.spawn(answer(users.clone(), id % 1_000));
            }
        }
        while requests.try_join_next().is_some() {}
    }
    println!("leaving: {} loads are under way", users.loads_in_flight());
    // The cache goes on working until its requests have their answers.
    let farewell = users.shutdown(DEADLINE).await;
    requests.join_all().await;
    Ok(farewell)
}

async fn answer(users: Cache<String>, id: u32) {
    let load = move || async move {
        sleep(Duration::from_millis(200)).await;
        Ok::<_, Infallible>(format!("user {id}"))
    };
    if let Err(error) = users.get_or_load(&id.to_string(), load).await {
        eprintln!("leave: user {id}: {error}");
    }
}

/// Ends when the process is asked to.
async fn stop_signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut term = signal::unix::signal(signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = term.recv() => Ok(()),
            pressed = signal::ctrl_c() => pressed,
        }
    }
    #[cfg(not(unix))]
    signal::ctrl_c().await
}
