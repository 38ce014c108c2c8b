//! Every combination of what a call may do with the two tiers, held against the rules written at `Options`.

use std::sync::{Arc, Mutex};

use tiered::{Access, Cache, Options, Result, Source};

use crate::support::loaders::found;
use crate::support::plain::Plain;
use crate::support::world::{DEFAULT, World, settings, tiers};

const ACCESSES: [Access; 4] = [
    Access::ReadWrite,
    Access::ReadOnly,
    Access::WriteOnly,
    Access::Skip,
];

fn reads(access: Access) -> bool {
    matches!(access, Access::ReadWrite | Access::ReadOnly)
}

fn writes(access: Access) -> bool {
    matches!(access, Access::ReadWrite | Access::WriteOnly)
}

/// What the two tiers hold before a call, and how the call may use them.
#[derive(Clone, Debug)]
struct Case {
    near: Option<&'static str>,
    far: Option<&'static str>,
    options: Options,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for near in [None, Some("near")] {
            for far in [None, Some("far")] {
                for l1 in ACCESSES {
                    for l2 in ACCESSES {
                        cases.push(Self {
                            near,
                            far,
                            options: Options { l1, l2, ..DEFAULT },
                        });
                    }
                }
            }
        }
        cases
    }

    /// A node whose tiers hold different values, as after a set by another node.
    async fn node(&self) -> Cache<String> {
        let world = World::new();
        let node = world.builder().l1(Plain::new()).build().unwrap();
        if let Some(near) = self.near {
            node.set("1", near.to_owned()).await;
        }
        let far = world
            .bare()
            .l2(world.store.clone())
            .settings(settings())
            .build()
            .unwrap();
        match self.far {
            Some(value) => drop(far.set("1", value.to_owned()).await),
            None => drop(far.remove("1").await),
        }
        node
    }

    /// What a read finds.
    fn seen(&self) -> Option<(&'static str, Source)> {
        let near = self
            .near
            .filter(|_| reads(self.options.l1))
            .map(|near| (near, Source::L1));
        let far = self
            .far
            .filter(|_| reads(self.options.l2))
            .map(|far| (far, Source::L2));
        near.or(far)
    }

    /// What the tiers hold after a read that found this and loaded nothing.
    fn after_read(&self) -> (Option<&'static str>, Option<&'static str>) {
        match self.seen() {
            Some((value, Source::L2)) if writes(self.options.l1) => (Some(value), self.far),
            _ => (self.near, self.far),
        }
    }

    async fn expect(&self, node: &Cache<String>, tiers_after: (Option<&str>, Option<&str>)) {
        let (near, far) = tiers(node, "1").await;
        assert_eq!((near.as_deref(), far.as_deref()), tiers_after, "{self:?}");
    }
}

#[tokio::test]
async fn a_get_looks_where_it_may_and_fills_l1_if_it_may() {
    for case in Case::all() {
        let node = case.node().await;
        let answer = node.with(case.options).get("1").await;
        let answer = answer.map(|answer| (answer.value.unwrap().to_string(), answer.source));
        let seen = case
            .seen()
            .map(|(value, source)| (value.to_owned(), source));
        assert_eq!(answer, seen, "{case:?}");
        case.expect(&node, case.after_read()).await;
    }
}

#[tokio::test]
async fn a_batch_looks_where_a_single_read_looks() {
    for case in Case::all() {
        let node = case.node().await;
        let answers = node.with(case.options).get_many(["1", "2"]).await;
        let source = answers[0].as_ref().map(|answer| answer.source);
        assert_eq!(source, case.seen().map(|(_, source)| source), "{case:?}");
        assert!(answers[1].is_none());
        case.expect(&node, case.after_read()).await;
    }
}

#[tokio::test]
async fn a_load_fills_the_tiers_that_it_may_and_leaves_the_others_alone() -> Result<()> {
    for case in Case::all() {
        let node = case.node().await;
        let answer = node
            .with(case.options)
            .get_or_load("1", found("new"))
            .await?;
        let expected = case.seen().unwrap_or(("new", Source::Loader));
        assert_eq!(
            (answer.value.unwrap().as_str(), answer.source),
            expected,
            "{case:?}"
        );
        let after = if expected.1 == Source::Loader {
            let near = if writes(case.options.l1) {
                Some("new")
            } else {
                case.near
            };
            let far = if writes(case.options.l2) {
                Some("new")
            } else {
                case.far
            };
            (near, far)
        } else {
            case.after_read()
        };
        case.expect(&node, after).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_set_fills_the_tiers_that_it_may_and_empties_the_others() {
    for case in Case::all() {
        let node = case.node().await;
        node.with(case.options).set("1", "new".to_owned()).await;
        let filled = |access| writes(access).then_some("new");
        case.expect(&node, (filled(case.options.l1), filled(case.options.l2)))
            .await;
    }
}

#[tokio::test]
async fn a_refresh_is_shown_what_it_may_see_and_fills_or_empties_like_a_set() -> Result<()> {
    for case in Case::all() {
        let node = case.node().await;
        let shown = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&shown);
        let load = move |held: Option<Arc<String>>| {
            *seen.lock().unwrap() = held;
            found("new")()
        };
        let answer = node.with(case.options).refresh("1", load).await?;
        assert_eq!(answer.source, Source::Loader);
        let shown = shown.lock().unwrap().as_deref().cloned();
        assert_eq!(
            shown.as_deref(),
            case.seen().map(|(value, _)| value),
            "{case:?}"
        );
        let filled = |access| writes(access).then_some("new");
        case.expect(&node, (filled(case.options.l1), filled(case.options.l2)))
            .await;
    }
    Ok(())
}

#[tokio::test]
async fn a_presence_test_looks_where_it_may_and_changes_nothing() {
    for case in Case::all() {
        let node = case.node().await;
        let is_present = node.with(case.options).contains("1").await;
        assert_eq!(is_present, case.seen().is_some(), "{case:?}");
        let many = node.with(case.options).contains_many(["2", "1"]).await;
        assert_eq!(many, [false, is_present], "{case:?}");
        case.expect(&node, (case.near, case.far)).await;
    }
}

#[tokio::test]
async fn a_caller_who_joins_gets_what_the_first_callers_options_bring() -> Result<()> {
    use crate::support::gate::gate;
    use crate::support::loaders::{found_after, unasked};
    let node = World::new().node();
    let (mut stop, gate) = gate();
    let nowhere = Options {
        l1: Access::Skip,
        l2: Access::Skip,
        ..DEFAULT
    };
    let first = node.with(nowhere);
    let first = first.get_or_load("1", found_after(gate, "Ada"));
    let second = async {
        stop.reached().await;
        let (second, ()) = tokio::join!(node.get_or_load("1", unasked), async { stop.go() });
        second
    };
    let (_, second) = tokio::join!(first, second);
    assert_eq!(*second?, "Ada");
    assert!(node.get("1").await.is_none());
    Ok(())
}
