//! What one connection has asked the server for, and how it follows what is wanted.
//!
//! fred takes SUBSCRIBE for done as soon as it is written, and its refusal for the answer to whatever waits for one: if
//! nothing does, nobody hears of it. So a PING goes out with it, which is answered when it was done, or with its refusal.

use std::collections::BTreeSet;
use std::sync::Arc;

use fred::clients::{Client, WithOptions};
use fred::error::{Error as Cause, ErrorKind as CauseKind};
use fred::interfaces::{ClientInterface, ClientLike, PubsubInterface};
use fred::types::client::Toggle;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join};

use crate::bus::Bus;
use crate::channel;

pub(crate) struct Arming {
    bus: Arc<Bus>,
    client: WithOptions<Client>,
    tracks: bool,
    subscribed: BTreeSet<String>,
    tracked: BTreeSet<String>,
}

impl Arming {
    pub(crate) fn new(bus: &Arc<Bus>, client: WithOptions<Client>, tracks: bool) -> Self {
        Self {
            bus: bus.clone(),
            client,
            tracks,
            subscribed: BTreeSet::new(),
            tracked: BTreeSet::new(),
        }
    }

    /// Ends when the server refuses, or does not answer.
    pub(crate) async fn follow(&mut self) -> Result<(), Cause> {
        loop {
            self.catch_up().await?;
            self.bus.changed().await;
        }
    }

    async fn catch_up(&mut self) -> Result<(), Cause> {
        let client = self.client.clone();
        let mut wanted = self.bus.wanted();
        let gone: Vec<_> = self.subscribed.difference(&wanted.all).collect();
        if !gone.is_empty() {
            done(&client, client.unsubscribe(channels(gone)).boxed()).await?;
        }
        if self.tracks && self.track(&wanted.all).await? {
            wanted.unconfirmed = wanted.all.iter().cloned().collect();
        }
        if !wanted.unconfirmed.is_empty() {
            let unconfirmed = channels(&wanted.unconfirmed);
            done(&client, client.subscribe(unconfirmed).boxed()).await?;
            self.bus.confirm(&wanted.unconfirmed);
        }
        self.subscribed = wanted.all;
        Ok(())
    }

    /// Lets the server watch the keys of these namespaces. Whether it looked away for a moment: prefixes can be added, but
    /// not taken back.
    async fn track(&mut self, namespaces: &BTreeSet<String>) -> Result<bool, Cause> {
        let wanted = prefixes(namespaces);
        let is_less = !self.tracked.is_subset(&wanted);
        if is_less {
            self.bus.interrupt();
            track(&self.client, Toggle::Off, Vec::new()).await?;
            self.tracked.clear();
        }
        let new: Vec<_> = wanted.difference(&self.tracked).cloned().collect();
        if !new.is_empty() {
            track(&self.client, Toggle::On, new).await?;
        }
        self.tracked = wanted;
        Ok(is_less)
    }
}

/// Switches the watching of these prefixes on, or all watching off.
pub(crate) async fn track(
    client: &WithOptions<Client>,
    toggle: Toggle,
    prefixes: Vec<String>,
) -> Result<(), Cause> {
    let is_on = toggle == Toggle::On;
    client
        .client_tracking(toggle, None, prefixes, is_on, false, false, false)
        .await
}

/// Asks to subscribe or unsubscribe, and waits until that is done.
///
/// # Errors
/// The server refuses it, or does not answer.
pub(crate) async fn done(
    client: &WithOptions<Client>,
    ask: BoxFuture<'_, Result<(), Cause>>,
) -> Result<(), Cause> {
    const WORD: &str = "done";
    let (asked, answer) = join(ask, client.ping::<String>(Some(WORD.to_owned())).boxed()).await;
    asked?;
    match answer?.as_str() {
        WORD => Ok(()),
        _ => Err(Cause::new(CauseKind::Protocol, "unexpected answer")),
    }
}

fn channels<'a>(namespaces: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let channels = namespaces.into_iter().map(|name| channel::of(name));
    channels.collect()
}

/// What the keys of these namespaces begin with. The server takes no prefix that begins with another one.
fn prefixes(namespaces: &BTreeSet<String>) -> BTreeSet<String> {
    let all: BTreeSet<_> = namespaces.iter().map(|name| format!("{name}:")).collect();
    // In this order, a prefix comes before all that begin with it.
    all.into_iter().fold(BTreeSet::new(), |mut taken, prefix| {
        let begins_it = |other: &String| prefix.starts_with(other.as_str());
        if !taken.iter().any(begins_it) {
            taken.insert(prefix);
        }
        taken
    })
}
