//! The contract of [`Backplane`] as a function.

#[cfg(test)]
mod broken;
mod ear;
mod line;
#[cfg(test)]
mod toy;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use self::line::Line;
use crate::Backplane;

/// Holds a backplane against the contract written at [`Backplane`], but for what takes a broken server to show.
///
/// Both are handles on the same backplane: two connections to one server, as two nodes have them, or the same handle
/// twice. The backplane may be in use by others: messages go to namespaces that are this run's own.
///
/// What is lost is waited for, for ever. Put a timeout around the call: that it strikes says that a message, or the
/// [`Gap`](crate::News::Gap) that confirms a subscription, has not come.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use tiered_core::{Backplane, testing};
///
/// async fn my_backplane_keeps_the_contract(one: Arc<dyn Backplane>, other: Arc<dyn Backplane>) {
///     let done = testing::backplane::contract(one, other);
///     tokio::time::timeout(Duration::from_secs(30), done).await.unwrap();
/// }
/// ```
///
/// # Panics
/// When a rule is broken; the message names it.
pub async fn contract(backplane_a: Arc<dyn Backplane>, backplane_b: Arc<dyn Backplane>) {
    for (own, other) in [(&backplane_a, &backplane_b), (&backplane_b, &backplane_a)] {
        let line = &Line::new(own, other);
        a_subscription_is_confirmed_first(line).await;
        one_hears_oneself(line).await;
        any_bytes_are_a_message(line).await;
        all_subscriptions_hear_all_publishers(line).await;
        messages_of_two_come_in_one_order(line).await;
        namespaces_do_not_hear_each_other(line).await;
        nothing_from_before_is_heard(line).await;
        a_dropped_wait_loses_nothing(line).await;
        a_dropped_subscription_disturbs_nobody(line).await;
    }
}

async fn a_subscription_is_confirmed_first(line: &Line<'_>) {
    let namespace = &line.namespace("confirmed");
    let mut own = line.own.subscribe(namespace);
    let mut other = line.other.subscribe(namespace);
    // Whether this is heard is open, but not before the gap.
    line.says(namespace, &[text("too early")]).await;
    ear::confirmed(&mut *own).await;
    ear::confirmed(&mut *other).await;
}

async fn one_hears_oneself(line: &Line<'_>) {
    let rule = "one's own messages are heard like others, each once, in the order of publishing";
    let namespace = &line.namespace("own");
    let mut own = line.hears(namespace).await;
    let (messages, others) = (texts("own", 100), texts("other", 1));
    // What is lost is noticed by what comes instead.
    line.says(namespace, &messages).await;
    line.other_says(namespace, &others).await;
    line.says(namespace, &messages).await;
    let want = [&*messages, &others, &messages].concat();
    own.hears(rule, &want).await;
}

async fn any_bytes_are_a_message(line: &Line<'_>) {
    let rule = "a message is any bytes, none and many too";
    let namespace = &line.namespace("bytes");
    let (mut own, mut other) = (line.hears(namespace).await, line.others(namespace).await);
    let bytes = |length| (0..=u8::MAX).cycle().take(length).collect::<Bytes>();
    let messages = [0, 1, 256, 70_000, 1 << 20, 0, 5].map(bytes);
    line.says(namespace, &messages).await;
    own.hears(rule, &messages).await;
    other.hears(rule, &messages).await;
}

async fn all_subscriptions_hear_all_publishers(line: &Line<'_>) {
    let rule = "a message reaches each subscription of the namespace, whoever has published it";
    let namespace = &line.namespace("all");
    let mut ears = [
        line.hears(namespace).await,
        line.hears(namespace).await,
        line.others(namespace).await,
    ];
    for turn in 0..10 {
        let own = texts(&format!("own {turn}"), 2);
        let others = texts(&format!("other {turn}"), 2);
        line.says(namespace, &own).await;
        for ear in &mut ears {
            ear.hears(rule, &own).await;
        }
        line.other_says(namespace, &others).await;
        for ear in &mut ears {
            ear.hears(rule, &others).await;
        }
    }
}

async fn messages_of_two_come_in_one_order(line: &Line<'_>) {
    let namespace = &line.namespace("order");
    let (mut own, mut other) = (line.hears(namespace).await, line.others(namespace).await);
    let (ours, theirs) = (texts("own", 50), texts("other", 50));
    for (our, their) in ours.iter().zip(&theirs) {
        let our = line.says(namespace, std::slice::from_ref(our));
        let their = line.other_says(namespace, std::slice::from_ref(their));
        both(our, their).await;
    }
    let last = text("the last one");
    line.says(namespace, std::slice::from_ref(&last)).await;
    let heard = own.until(&last).await;
    for published in [ours, theirs] {
        let rule = "messages of one publisher come in the order in which they were published";
        let of_one = heard.iter().filter(|text| published.contains(text));
        ear::same(rule, &of_one.cloned().collect::<Vec<_>>(), &published);
    }
    let rule = "messages of different publishers come in the same order to all";
    other.hears(rule, &heard).await;
}

async fn namespaces_do_not_hear_each_other(line: &Line<'_>) {
    let rule = "namespaces do not hear each other";
    let names = [
        "users", "usersAbc", "user", "Users", "users.a", "users-a", "users_a", "a.users", "users.",
    ];
    let namespaces = names.map(|name| line.namespace(name));
    let mut ears = Vec::new();
    for namespace in &namespaces {
        ears.push((line.hears(namespace).await, line.others(namespace).await));
    }
    for namespace in &namespaces {
        line.says(namespace, &[text(namespace)]).await;
    }
    // Had one heard another's, it would come before this.
    for namespace in namespaces.iter().rev() {
        line.says(namespace, &[text("the last one")]).await;
    }
    for (namespace, (mut own, mut other)) in namespaces.iter().zip(ears) {
        let want = [text(namespace), text("the last one")];
        own.hears(rule, &want).await;
        other.hears(rule, &want).await;
    }
}

async fn nothing_from_before_is_heard(line: &Line<'_>) {
    let rule = "a subscription hears nothing from before";
    let namespace = &line.namespace("late");
    line.says(namespace, &texts("to nobody", 3)).await;
    let mut early = line.hears(namespace).await;
    line.says(namespace, &texts("early", 3)).await;
    early.hears(rule, &texts("early", 3)).await;
    let (mut late, mut others) = (line.hears(namespace).await, line.others(namespace).await);
    line.says(namespace, &texts("late", 3)).await;
    for ear in [&mut early, &mut late, &mut others] {
        ear.hears(rule, &texts("late", 3)).await;
    }
}

async fn a_dropped_wait_loses_nothing(line: &Line<'_>) {
    let rule = "a wait that is dropped loses nothing";
    let namespace = &line.namespace("dropped wait");
    let mut own = line.hears(namespace).await;
    let messages = texts("waited for", 50);
    let mut heard = Vec::new();
    for message in &messages {
        heard.extend(own.glance().await);
        line.other_says(namespace, std::slice::from_ref(message))
            .await;
        heard.extend(own.glance().await);
    }
    let last = text("the last one");
    line.other_says(namespace, std::slice::from_ref(&last))
        .await;
    heard.extend(own.until(&last).await);
    ear::same(rule, &heard, &[messages, vec![last]].concat());
}

async fn a_dropped_subscription_disturbs_nobody(line: &Line<'_>) {
    let rule = "a dropped subscription disturbs no other";
    let namespace = &line.namespace("dropped");
    let (mut own, mut other) = (line.hears(namespace).await, line.others(namespace).await);
    let unheard = line.own.subscribe(namespace);
    let (one, two) = (line.hears(namespace).await, line.others(namespace).await);
    line.says(namespace, &texts("before", 3)).await;
    drop((unheard, one, two));
    line.other_says(namespace, &texts("after", 3)).await;
    let want = [texts("before", 3), texts("after", 3)].concat();
    own.hears(rule, &want).await;
    other.hears(rule, &want).await;
    drop((own, other));
    line.says(namespace, &texts("to nobody", 3)).await;
    let mut again = line.hears(namespace).await;
    line.says(namespace, &texts("again", 3)).await;
    again.hears(rule, &texts("again", 3)).await;
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn texts(what: &str, many: usize) -> Vec<Bytes> {
    (0..many).map(|at| text(&format!("{what} {at}"))).collect()
}

/// Drives both, so that neither waits for the other.
async fn both(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut one_is_done, mut other_is_done) = (false, false);
    std::future::poll_fn(|context| {
        one_is_done = one_is_done || one.as_mut().poll(context).is_ready();
        other_is_done = other_is_done || other.as_mut().poll(context).is_ready();
        if one_is_done && other_is_done {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
