//! The connection that hears what others publish, and what the server says of its keys.
//!
//! It is kept up like the others. fred gives what it hears to whoever has asked for it in time, and does not wait: who
//! comes too late learns only that something was missed, and that is a gap for all.

use std::sync::Arc;

use fred::interfaces::{EventInterface, TrackingInterface};
use fred::types::client::Invalidation;
use fred::types::{Key, Message};
use tiered_core::News;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::arming::Arming;
use crate::bus::Bus;
use crate::call::Call;
use crate::channel;
use crate::ear::Ear;
use crate::setup::{Purpose, Setup};

/// A connection that listens until it is closed or dropped.
pub(crate) struct Listener {
    bus: Arc<Bus>,
    /// Tells the keeper to stop, also by being dropped; closed when the keeper has ended.
    keeper: watch::Sender<()>,
}

impl Listener {
    /// Listens with a connection that is up. Needs a runtime.
    pub(crate) fn new(setup: Arc<Setup>, call: Call) -> Self {
        let bus = Bus::new(setup.options.tracking);
        let (keeper, stop) = watch::channel(());
        let task = Keeper {
            setup,
            bus: bus.clone(),
            call,
        };
        tokio::spawn(task.run(stop));
        Self { bus, keeper }
    }

    pub(crate) fn subscribe(&self, namespace: &str) -> Ear {
        self.bus.subscribe(namespace)
    }

    /// Ends all subscriptions, and waits until the socket is closed.
    pub(crate) async fn close(&self) {
        self.bus.close();
        let _ = self.keeper.send(());
        self.keeper.closed().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.bus.close();
    }
}

struct Keeper {
    setup: Arc<Setup>,
    bus: Arc<Bus>,
    call: Call,
}

impl Keeper {
    async fn run(mut self, mut stop: watch::Receiver<()>) {
        tokio::select! {
            biased;
            _ = stop.changed() => {}
            () = self.keep_up() => {}
        }
        self.bus.close();
        self.call.end(self.setup.silence()).await;
    }

    async fn keep_up(&mut self) {
        loop {
            let is_refused = self.listen().await;
            self.bus.interrupt();
            self.call.abort();
            if is_refused {
                // It may be so for ever, and each attempt is an interruption for all.
                sleep(self.setup.options.reconnect_delay_max).await;
            }
            self.call = self.setup.call_again(Purpose::Listening).await;
        }
    }

    /// Ends when the connection is lost, or when the server has refused something; whether it has.
    async fn listen(&mut self) -> bool {
        let silence = self.setup.silence();
        let client = self.call.client_for(silence);
        let messages = client.message_rx();
        let invalidations = client.invalidation_rx();
        let mut arming = Arming::new(&self.bus, client, self.setup.options.tracking);
        tokio::select! {
            biased;
            () = self.call.lost(silence) => false,
            () = hear(messages, &self.bus, told) => false,
            () = hear(invalidations, &self.bus, touched) => false,
            _ = arming.follow() => true,
        }
    }
}

/// Passes on what is heard, for as long as the connection lives.
async fn hear<T: Clone>(mut heard: Receiver<T>, bus: &Bus, pass_on: impl Fn(&Bus, T)) {
    loop {
        match heard.recv().await {
            Ok(heard) => pass_on(bus, heard),
            Err(RecvError::Lagged(_)) => bus.gap(),
            Err(RecvError::Closed) => return,
        }
    }
}

fn told(bus: &Bus, message: Message) {
    let Some(namespace) = channel::namespace(&message.channel) else {
        return;
    };
    match message.value.convert() {
        Ok(bytes) => bus.tell(namespace, News::Message(bytes)),
        // It was a message; what it was is lost.
        Err(_) => bus.tell(namespace, News::Gap),
    }
}

/// What is no text is no key of a cache.
fn touched(bus: &Bus, invalidation: Invalidation) {
    let keys = invalidation.keys.into_iter().filter_map(Key::into_string);
    bus.touched(&keys.collect::<Vec<_>>());
}
