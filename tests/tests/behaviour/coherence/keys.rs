//! Keys go over the backplane as text.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use tiered::{Cache, Key, Moka};

use super::world::Town;
use crate::support::world::{NEAR_ONLY, others_turn};

async fn two<K: Key + ?Sized>(town: &Town, some: &K) -> [Cache<String, K>; 2] {
    let node = || {
        let node = town.bare::<K>().l1(Moka::entries(100));
        let node = node.l2(town.store.clone()).backplane(town.link());
        node.settings(crate::support::world::settings())
            .build()
            .unwrap()
    };
    let nodes = [node(), node()];
    for node in &nodes {
        node.contains(some).await;
        others_turn().await;
    }
    town.live(300).await;
    nodes
}

async fn near<K: Key + ?Sized>(cache: &Cache<String, K>, key: &K) -> bool {
    cache.with(NEAR_ONLY).get(key).await.is_some()
}

#[tokio::test]
async fn a_key_of_any_letters_is_named_so_that_others_know_it() {
    let town = Town::new();
    let [a, b] = two(&town, "nothing").await;
    let odd = [
        "",
        " ",
        "\n",
        "\\",
        "\\n",
        "a\nremoved b",
        "\r\n",
        "a b ",
        "ключ 🦀",
        "\u{0}",
        "cleared",
    ];
    let all = || odd.into_iter().chain(["b", "n"]);
    for key in odd {
        for key in all() {
            a.set(key, "old".to_owned()).await;
            others_turn().await;
            assert!(b.get(key).await.is_some());
        }
        let doubts = b.stats().doubts;
        a.remove(key).await;
        others_turn().await;
        for other in all() {
            assert_eq!(near(&b, other).await, other != key, "{key:?} {other:?}");
        }
        assert_eq!(b.stats().doubts, doubts);
    }
}

#[tokio::test]
async fn a_tag_of_any_letters_is_named_so_that_others_know_it() {
    let town = Town::new();
    let (a, b) = town.two().await;
    for tag in [" ", "\n", "\\n", "a\ncleared", "тег 🦀"] {
        a.put("2", "other").await;
        a.set_tagged("1", "old", &[tag]).await;
        others_turn().await;
        assert!(b.value("1").await.is_some() && b.value("2").await.is_some());
        a.remove_tag(tag).await.unwrap();
        others_turn().await;
        assert_eq!(b.value("1").await, None, "{tag:?}");
        assert!(b.near("2").await.is_some(), "{tag:?}");
    }
}

#[tokio::test]
async fn a_typed_key_is_known_to_other_nodes() {
    let town = Town::new();
    let [a, b] = two::<u64>(&town, &0).await;
    for key in [1, 2] {
        a.set(&key, "old".to_owned()).await;
        b.get(&key).await;
    }
    others_turn().await;
    a.remove(&1).await;
    others_turn().await;
    assert!(!near(&b, &1).await && near(&b, &2).await);
    a.set(&2, "new".to_owned()).await;
    others_turn().await;
    assert_eq!(b.get(&2).await.unwrap().as_str(), "new");
}

/// Is not read back as it was written: the letter x is lost.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Crooked(String);

impl fmt::Display for Crooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Crooked {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.replace('x', "")))
    }
}

/// Is not read back at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Secret(String);

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Secret {
    type Err = fmt::Error;

    fn from_str(_: &str) -> Result<Self, fmt::Error> {
        Err(fmt::Error)
    }
}

async fn everything_is_doubted<K: Key>(bad: K, other: K) {
    let town = Town::new();
    let [a, b] = two(&town, &bad).await;
    town.live(1_050).await;
    for key in [&bad, &other] {
        a.set(key, "old".to_owned()).await;
    }
    town.live(50).await;
    b.get_many([&bad, &other]).await;
    town.live(1_500).await;
    assert!(near(&b, &bad).await && near(&b, &other).await);
    let (doubts, confirmed) = (b.stats().doubts, b.stats().confirmed);
    a.remove(&bad).await;
    others_turn().await;
    assert_eq!(b.stats().doubts, doubts + 1);
    assert!(b.get(&bad).await.is_none());
    assert!(b.get(&other).await.is_some());
    assert_eq!(b.stats().confirmed, confirmed + 1);
}

#[tokio::test]
async fn a_key_that_is_not_read_back_as_it_was_lets_others_doubt_everything() {
    let key = |text: &str| Crooked(text.to_owned());
    everything_is_doubted(key("xylophone"), key("piano")).await;
}

#[tokio::test]
async fn a_key_that_is_not_read_back_at_all_lets_others_doubt_everything() {
    let key = |text: &str| Secret(text.to_owned());
    everything_is_doubted(key("1"), key("2")).await;
}
