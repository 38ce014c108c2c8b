use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tiered::{
    Backplane, Claim, Claimed, Embedded, Expiry, Fill, Hold, L2, NewMark, Record, Result, Seen,
    Stamp, Version, Write,
};

use crate::books::Books;
use crate::errand::{Order, Question, ask};
use crate::world::World;

/// A node's way to the server.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) world: Arc<World>,
    pub(crate) node: usize,
    pub(crate) books: Arc<Books>,
}

impl Link {
    async fn ask<T: Send + 'static>(
        &self,
        verb: &'static str,
        keys: Vec<String>,
        run: impl Fn(&Embedded, usize) -> Result<T> + Send + Sync + 'static,
    ) -> Vec<Result<T>> {
        let order = match verb {
            "get" | "heads" | "time" => Order::Any,
            "read mark" | "write mark" => Order::AsGiven,
            _ => Order::OfChanges,
        };
        let run = Box::new(run);
        let question = Question {
            verb,
            keys,
            order,
            run,
        };
        ask(&self.world, self.node, question).await
    }

    fn note_fills(&self, answers: &[Result<bool>]) {
        for answer in answers {
            let column = match answer {
                Ok(true) => &self.books.stored,
                Ok(false) => continue,
                Err(_) => &self.books.unsure,
            };
            column.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The embedded store answers at once.
fn at_once<T>(answers: impl Future<Output = Vec<Result<T>>>) -> Result<T> {
    answers.now_or_never().unwrap().remove(0)
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// A hold without its key.
fn bare(hold: &Hold<'_>) -> (Version, Version) {
    (hold.held, hold.token)
}

fn hold(key: &str, (held, token): (Version, Version)) -> Hold<'_> {
    Hold { key, held, token }
}

#[async_trait]
impl L2 for Link {
    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        let names = owned(keys);
        let run = move |store: &Embedded, place: usize| at_once(store.get_many(&[&names[place]]));
        self.ask("get", owned(keys), run).await
    }

    async fn heads_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        let names = owned(keys);
        let run = move |store: &Embedded, place: usize| at_once(store.heads_many(&[&names[place]]));
        self.ask("heads", owned(keys), run).await
    }

    async fn set_many(&self, writes: &[Write<'_>]) -> Vec<Result<()>> {
        let keys: Vec<_> = writes.iter().map(|write| write.key.to_owned()).collect();
        let items: Vec<_> = writes
            .iter()
            .map(|write| (write.key.to_owned(), write.record.clone(), write.life))
            .collect();
        let run = move |store: &Embedded, place: usize| {
            let (key, record, life) = items[place].clone();
            at_once(store.set_many(&[Write {
                key: &key,
                record,
                life,
            }]))
        };
        self.ask("set", keys, run).await
    }

    async fn remove_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        let names = owned(keys);
        let run =
            move |store: &Embedded, place: usize| at_once(store.remove_many(&[&names[place]]));
        self.ask("remove", owned(keys), run).await
    }

    async fn expire_many(&self, expiries: &[Expiry<'_>]) -> Vec<Result<Option<Record>>> {
        let keys: Vec<_> = expiries
            .iter()
            .map(|expiry| expiry.key.to_owned())
            .collect();
        let versions: Vec<_> = expiries.iter().map(|expiry| expiry.version).collect();
        let names = keys.clone();
        let run = move |store: &Embedded, place: usize| {
            let (key, version) = (&names[place], versions[place]);
            at_once(store.expire_many(&[Expiry { key, version }]))
        };
        self.ask("expire", keys, run).await
    }

    async fn claim_many(&self, claims: &[Claim<'_>]) -> Vec<Result<Claimed>> {
        let keys: Vec<_> = claims.iter().map(|claim| claim.key.to_owned()).collect();
        let terms: Vec<(Seen, Version, Version, Duration)> = claims
            .iter()
            .map(|claim| (claim.seen, claim.token, claim.mark, claim.life))
            .collect();
        let names = keys.clone();
        let run = move |store: &Embedded, place: usize| {
            let (seen, token, mark, life) = terms[place];
            let key = &names[place];
            at_once(store.claim_many(&[Claim {
                key,
                seen,
                token,
                mark,
                life,
            }]))
        };
        self.ask("claim", keys, run).await
    }

    async fn fill_many(&self, fills: &[Fill<'_>]) -> Vec<Result<bool>> {
        let keys: Vec<_> = fills.iter().map(|fill| fill.hold.key.to_owned()).collect();
        let items: Vec<_> = fills
            .iter()
            .map(|fill| (bare(&fill.hold), fill.record.clone(), fill.life))
            .collect();
        let names = keys.clone();
        let run = move |store: &Embedded, place: usize| {
            let (terms, record, life) = items[place].clone();
            let hold = hold(&names[place], terms);
            at_once(store.fill_many(&[Fill { hold, record, life }]))
        };
        let answers = self.ask("fill", keys, run).await;
        self.note_fills(&answers);
        answers
    }

    async fn renew_many(&self, holds: &[Hold<'_>], life: Duration) -> Vec<Result<bool>> {
        let keys: Vec<_> = holds.iter().map(|hold| hold.key.to_owned()).collect();
        let held: Vec<_> = holds.iter().map(bare).collect();
        let names = keys.clone();
        let run = move |store: &Embedded, place: usize| {
            at_once(store.renew_many(&[hold(&names[place], held[place])], life))
        };
        self.ask("renew", keys, run).await
    }

    async fn release_many(&self, holds: &[Hold<'_>], pass: Option<Duration>) -> Vec<Result<()>> {
        let keys: Vec<_> = holds.iter().map(|hold| hold.key.to_owned()).collect();
        let held: Vec<_> = holds.iter().map(bare).collect();
        let names = keys.clone();
        let run = move |store: &Embedded, place: usize| {
            at_once(store.release_many(&[hold(&names[place], held[place])], pass))
        };
        self.ask("release", keys, run).await
    }

    async fn read_marks(&self, marks: &[NewMark<'_>]) -> Result<Vec<Version>> {
        let (names, items) = marks_of(marks);
        let run = move |store: &Embedded, place: usize| {
            let read = store.read_marks(&[mark(&items[place])]).now_or_never();
            read.unwrap().map(|versions| versions[0])
        };
        self.ask("read mark", names, run)
            .await
            .into_iter()
            .collect()
    }

    async fn write_marks(&self, marks: &[NewMark<'_>]) -> Result<()> {
        let (names, items) = marks_of(marks);
        let run = move |store: &Embedded, place: usize| {
            let written = store.write_marks(&[mark(&items[place])]).now_or_never();
            written.unwrap()
        };
        self.ask("write mark", names, run)
            .await
            .into_iter()
            .collect()
    }

    async fn time(&self) -> Result<Stamp> {
        let run = |store: &Embedded, _| store.time().now_or_never().unwrap();
        let mut answers = self.ask("time", vec!["#clock".to_owned()], run).await;
        answers.remove(0)
    }

    fn backplane(&self) -> Option<Arc<dyn Backplane>> {
        None
    }
}

type OwnedMark = (String, Version, Duration);

fn marks_of(marks: &[NewMark<'_>]) -> (Vec<String>, Vec<OwnedMark>) {
    let own = |mark: &NewMark<'_>| (mark.name.to_owned(), mark.version, mark.life);
    let items: Vec<_> = marks.iter().map(own).collect();
    let names = items.iter().map(|(name, ..)| name.clone()).collect();
    (names, items)
}

fn mark((name, version, life): &OwnedMark) -> NewMark<'_> {
    NewMark {
        name,
        version: *version,
        life: *life,
    }
}
