//! [`Embedded`] keeps the contract of an L2, and what it promises beyond; [`Loopback`] keeps that of a backplane.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tiered::{Clock, Embedded, ErrorKind, L2, Loopback, ManualClock, Record, Result, Write};
use tiered_core::testing::{backplane, l2};

#[tokio::test]
async fn the_embedded_store_keeps_the_contract_and_is_left_empty() {
    let (store, hand) = store(64 << 20);
    let pass = |time| {
        hand.advance(time);
        ready(())
    };
    l2::contract(Arc::new(store.clone()), pass).await;
    assert_eq!((store.len(), store.bytes()), (0, 0));
}

#[tokio::test]
async fn the_embedded_store_keeps_the_contract_on_the_machines_clock() {
    l2::contract(Arc::new(Embedded::new()), tokio::time::sleep).await;
}

#[tokio::test]
async fn the_loopback_keeps_the_contract_of_the_backplane() {
    let loopback = Arc::new(Loopback::new());
    let kept = backplane::contract(loopback.clone(), loopback);
    let kept = tokio::time::timeout(Duration::from_secs(30), kept);
    kept.await.expect("nothing is lost");
}

#[tokio::test]
async fn a_life_ends_exactly() -> Result<()> {
    let (store, hand) = store(1_000);
    set(&store, "k", 10, 50).await?;
    hand.advance(Duration::from_nanos(49_999_999));
    assert!(has(&store, "k").await?);
    hand.advance(Duration::from_nanos(1));
    assert!(!has(&store, "k").await?);
    assert_eq!(store.remove_many(&["k"]).await.remove(0)?, None);
    Ok(())
}

#[tokio::test]
async fn a_life_is_a_millisecond_at_least_and_fractions_are_cut_off() -> Result<()> {
    let (store, hand) = store(1_000);
    for (life, millis) in [(Duration::ZERO, 1), (Duration::from_micros(2_900), 2)] {
        let write = Write {
            key: "k",
            record: record(1),
            life,
        };
        store.set_many(&[write]).await.remove(0)?;
        hand.advance(Duration::from_nanos(millis * 1_000_000 - 1));
        assert!(has(&store, "k").await?);
        hand.advance(Duration::from_nanos(1));
        assert!(!has(&store, "k").await?);
    }
    Ok(())
}

#[tokio::test]
async fn what_ends_next_makes_room() -> Result<()> {
    let (store, _hand) = store(33);
    for (key, life) in [("a", 300), ("b", 100), ("c", 200)] {
        set(&store, key, 10, life).await?;
    }
    set(&store, "d", 10, 50).await?;
    assert!(!has(&store, "b").await?);
    set(&store, "e", 10, 400).await?;
    assert!(!has(&store, "d").await?);
    assert!(has(&store, "a").await? && has(&store, "c").await? && has(&store, "e").await?);
    Ok(())
}

#[tokio::test]
async fn what_has_ended_is_reclaimed_by_the_next_write() -> Result<()> {
    let (store, hand) = store(1_000);
    for key in ["a", "b", "c"] {
        set(&store, key, 10, 5).await?;
    }
    hand.advance(Duration::from_millis(5));
    assert_eq!(store.len(), 3);
    set(&store, "d", 10, 5).await?;
    assert_eq!((store.len(), store.bytes()), (1, 11));
    Ok(())
}

#[tokio::test]
async fn a_record_larger_than_the_store_is_refused_alone() -> Result<()> {
    let (store, _hand) = store(100);
    set(&store, "k", 99, 50).await?;
    let error = set(&store, "k", 100, 50).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unstorable);
    assert!(has(&store, "k").await?);
    Ok(())
}

#[tokio::test]
async fn a_clone_is_the_same_store_and_a_new_clock_makes_another() -> Result<()> {
    let (store, hand) = store(100);
    set(&store.clone(), "k", 1, 50).await?;
    assert!(has(&store, "k").await?);
    assert!(store.with_clock(Clock::from(hand)).is_empty());
    Ok(())
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, usize, u64),
    Remove(u8),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u8, 0..60_usize, 1..40_u64).prop_map(|(key, len, life)| Step::Set(key, len, life)),
        1 => (0..12_u8).prop_map(Step::Remove),
        2 => (0..15_u64).prop_map(Step::Pass),
    ]
}

/// The store as one would write it without indexes: the length and the end of each record.
#[derive(Default)]
struct Model {
    now: u64,
    records: BTreeMap<String, (usize, u64)>,
}

impl Model {
    const LIMIT: usize = 120;

    fn set(&mut self, key: &str, len: usize, life: u64) {
        let now = self.now;
        self.records.remove(key);
        self.records.retain(|_, (_, end)| *end > now);
        while self.bytes() + key.len() + len > Self::LIMIT
            && let Some(next) = self.next_to_end()
        {
            self.records.remove(&next);
        }
        self.records.insert(key.to_owned(), (len, now + life));
    }

    fn next_to_end(&self) -> Option<String> {
        let end = |(key, (_, end)): &(&String, &(usize, u64))| (*end, (*key).clone());
        self.records
            .iter()
            .min_by_key(end)
            .map(|(key, _)| key.clone())
    }

    fn bytes(&self) -> usize {
        self.records
            .iter()
            .map(|(key, (len, _))| key.len() + len)
            .sum()
    }

    fn len_of(&self, key: &str) -> Option<usize> {
        let (len, end) = self.records.get(key)?;
        (self.now < *end).then_some(*len)
    }
}

proptest! {
    #[test]
    fn it_does_what_a_plain_model_does(steps in prop::collection::vec(step(), 0..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let ((store, hand), mut model) = (store(Model::LIMIT), Model::default());
            for step in steps {
                take(&step, &store, &hand, &mut model).await.unwrap();
                assert_eq!((store.len(), store.bytes()), (model.records.len(), model.bytes()));
                assert!(store.bytes() <= Model::LIMIT);
                for key in (0..12).map(name) {
                    let found = store.get_many(&[&key]).await.remove(0).unwrap();
                    assert_eq!(found.map(|record| record.bytes().len()), model.len_of(&key));
                }
            }
            let keys: Vec<_> = (0..12).map(name).collect();
            store.remove_many(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
            assert_eq!((store.len(), store.bytes()), (0, 0));
        });
    }
}

async fn take(step: &Step, store: &Embedded, hand: &ManualClock, model: &mut Model) -> Result<()> {
    match *step {
        Step::Set(key, len, life) => {
            set(store, &name(key), len, life).await?;
            model.set(&name(key), len, life);
        }
        Step::Remove(key) => {
            store.remove_many(&[&name(key)]).await.remove(0)?;
            model.records.remove(&name(key));
        }
        Step::Pass(millis) => {
            hand.advance(Duration::from_millis(millis));
            model.now += millis;
        }
    }
    Ok(())
}

fn store(limit: usize) -> (Embedded, ManualClock) {
    let hand = ManualClock::new();
    (Embedded::bounded(limit).with_clock(hand.clone()), hand)
}

fn name(key: u8) -> String {
    format!("key{key}")
}

fn record(len: usize) -> Record {
    Record::new(vec![7; len])
}

async fn set(store: &Embedded, key: &str, len: usize, millis: u64) -> Result<()> {
    let life = Duration::from_millis(millis);
    let write = Write {
        key,
        record: record(len),
        life,
    };
    store.set_many(&[write]).await.remove(0)
}

async fn has(store: &Embedded, key: &str) -> Result<bool> {
    let found = store.get_many(&[key]).await.remove(0)?;
    Ok(found.is_some())
}
