//! What is tried out before a handle is given away: what is missing on the server is found now, and named.

use std::sync::Arc;

use fred::clients::{Client, WithOptions};
use fred::interfaces::{EventInterface, PubsubInterface};
use fred::types::Message;
use fred::types::client::Toggle;
use futures_util::FutureExt;
use tiered_core::Result;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use crate::arming::{done, track};
use crate::connection::Connection;
use crate::listener::Listener;
use crate::scripts::{Run, Script, Scripts};
use crate::setup::{Purpose, Setup};
use crate::{channel, clock, error, eviction, lock};

/// Tries everything that the options ask for. Gives the connection that listens, and what there is to warn of.
pub(crate) async fn of(
    setup: &Arc<Setup>,
    connections: &[Connection],
) -> Result<(Option<Listener>, Vec<String>)> {
    let first = connections.first().ok_or_else(error::not_connected)?;
    let client = first.line.turn()?;
    let word = format!("trial-{:016x}", setup.random.bits());
    scripts(&setup.scripts, &client, &word).await?;
    clock::time(&client).await?;
    let warnings = eviction::warning(&client).await.into_iter().collect();
    if !setup.options.backplane {
        return Ok((None, warnings));
    }
    let call = setup.call(Purpose::Listening).await?;
    let echo = echo(&client, &call.client, &word);
    let heard = timeout(setup.options.connect_timeout, echo).await;
    heard.map_err(|_| error::no_echo())??;
    if setup.options.tracking {
        tracking(&call.client, &word).await?;
    }
    Ok((Some(Listener::new(setup.clone(), call)), warnings))
}

/// The scripts run, and may touch what begins with `#`.
async fn scripts(scripts: &Scripts, client: &WithOptions<Client>, word: &str) -> Result<()> {
    // There is no such record and no such claim: nothing is written.
    let name = lock::of(word);
    let run = Run {
        script: Script::Release,
        keys: vec![name.clone().into(), name.into()],
        arguments: vec![word.into(), "".into()],
    };
    let ran = async {
        scripts.run(client, &run).await?;
        run.by_text(client).await
    };
    ran.await
        .map(drop)
        .map_err(|cause| error::of_scripts(&cause))
}

/// What is published on one connection is heard on the other.
async fn echo(
    speaker: &WithOptions<Client>,
    listener: &WithOptions<Client>,
    word: &str,
) -> Result<()> {
    let channel = channel::of(word);
    let heard = listener.message_rx();
    let spoken = async {
        done(listener, listener.subscribe(channel.as_str()).boxed()).await?;
        speaker.publish::<(), _, _>(channel.as_str(), word).await?;
        until(heard, &channel).await;
        done(listener, listener.unsubscribe(channel.as_str()).boxed()).await
    };
    spoken.await.map_err(|cause| error::of_backplane(&cause))
}

/// The server can say which keys were touched.
async fn tracking(listener: &WithOptions<Client>, word: &str) -> Result<()> {
    let tracked = async {
        track(listener, Toggle::On, vec![word.to_owned()]).await?;
        track(listener, Toggle::Off, Vec::new()).await
    };
    tracked.await.map_err(|cause| error::of_tracking(&cause))
}

async fn until(mut heard: Receiver<Message>, channel: &str) {
    while let Ok(message) = heard.recv().await {
        if message.channel == channel {
            return;
        }
    }
}
