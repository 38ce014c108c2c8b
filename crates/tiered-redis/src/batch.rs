use futures_util::future::join_all;
use tiered_core::{ErrorKind, Result};

use crate::error;

/// How many keys of one batch are under way at a time, so that others come in between.
const AT_A_TIME: usize = 512;

/// Does one command for each item. What is given to fred in one go goes out in few packets; its own pipelines are
/// slower, for on an idle connection they send each command by itself.
pub(crate) async fn each<'a, T, O, F>(items: &'a [T], act: impl Fn(&'a T) -> F) -> Vec<Result<O>>
where
    F: Future<Output = Result<O>>,
{
    match items {
        [item] => vec![act(item).await],
        items => in_parts(items, |some| join_all(some.iter().map(&act))).await,
    }
}

/// Does a batch part by part, until one is not answered in time: a batch takes one timeout, however large it is.
pub(crate) async fn in_parts<'a, T, O, F>(
    items: &'a [T],
    act: impl Fn(&'a [T]) -> F,
) -> Vec<Result<O>>
where
    F: Future<Output = Vec<Result<O>>>,
{
    let mut outcomes = Vec::with_capacity(items.len());
    for some in items.chunks(AT_A_TIME) {
        let done = act(some).await;
        let is_silent = done.iter().any(is_timeout);
        outcomes.extend(done);
        if is_silent {
            break;
        }
    }
    outcomes.resize_with(items.len(), || Err(error::not_asked()));
    outcomes
}

fn is_timeout<O>(outcome: &Result<O>) -> bool {
    let error = outcome.as_ref().err();
    error.is_some_and(|error| error.kind() == ErrorKind::Timeout)
}
