//! A subscription under test.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;

use crate::{Backplane, News, Subscription};

/// A confirmed subscription.
pub(super) struct Ear(Box<dyn Subscription>);

/// Subscribes, and waits until that is confirmed: what is published then is heard.
pub(super) async fn listening(backplane: &dyn Backplane, namespace: &str) -> Ear {
    let mut subscription = backplane.subscribe(namespace);
    confirmed(&mut *subscription).await;
    Ear(subscription)
}

/// What comes first is a gap.
pub(super) async fn confirmed(subscription: &mut dyn Subscription) {
    let first = heard(subscription.next().await);
    assert!(
        first == Some(News::Gap),
        "backplane: a subscription is confirmed by a gap, the first thing it gets, not by {first:?}",
    );
}

impl Ear {
    /// These messages come next.
    pub(super) async fn hears(&mut self, rule: &str, want: &[Bytes]) {
        for (at, want) in want.iter().enumerate() {
            let message = self.message().await;
            let (is, should) = (brief(Some(&message)), brief(Some(want)));
            assert!(
                message == *want,
                "backplane: {rule}: message {at} is {is}, not {should}"
            );
        }
    }

    /// What comes next, as far as this one.
    pub(super) async fn until(&mut self, last: &Bytes) -> Vec<Bytes> {
        let mut messages = Vec::new();
        while messages.last() != Some(last) {
            messages.push(self.message().await);
        }
        messages
    }

    /// Looks once whether there is a message, and drops the wait.
    pub(super) async fn glance(&mut self) -> Option<Bytes> {
        let mut next = self.0.next();
        let news = poll_fn(|context| match next.as_mut().poll(context) {
            Poll::Ready(news) => Poll::Ready(Some(news)),
            Poll::Pending => Poll::Ready(None),
        });
        message(heard(news.await?)?)
    }

    async fn message(&mut self) -> Bytes {
        loop {
            if let Some(message) = heard(self.0.next().await).and_then(message) {
                return message;
            }
        }
    }
}

/// Both are the same messages, in order.
pub(super) fn same(rule: &str, found: &[Bytes], wanted: &[Bytes]) {
    let longer = found.len().max(wanted.len());
    let pairs = (0..longer).map(|at| (found.get(at), wanted.get(at)));
    for (at, (found, wanted)) in pairs.enumerate() {
        let (is, should) = (brief(found), brief(wanted));
        assert!(
            found == wanted,
            "backplane: {rule}: message {at} is {is}, not {should}"
        );
    }
}

/// The news, but for those that a store sends who watches itself.
#[expect(
    clippy::panic,
    reason = "a broken rule ends the caller's test with a panic that names it"
)]
fn heard(news: Option<News>) -> Option<News> {
    let ended = || panic!("backplane: a subscription ends only when the backplane is shut down");
    let news = news.unwrap_or_else(ended);
    (!matches!(news, News::Touched(_))).then_some(news)
}

fn message(news: News) -> Option<Bytes> {
    let is_gap = news == News::Gap;
    assert!(
        !is_gap,
        "backplane: a gap comes only where something was missed"
    );
    match news {
        News::Message(message) => Some(message),
        News::Gap | News::Touched(_) => None,
    }
}

/// A message in few words: some are large.
fn brief(message: Option<&Bytes>) -> String {
    let Some(message) = message else {
        return "nothing".to_owned();
    };
    let (length, head) = (message.len(), message.slice(..message.len().min(64)));
    format!("{length} bytes beginning with {head:?}")
}
