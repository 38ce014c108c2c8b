use std::convert::Infallible;

use futures_util::future::BoxFuture;
use tiered::Loaded;

use super::gate::Gate;

pub(crate) type Loads = BoxFuture<'static, Result<String, Infallible>>;

/// A loader that finds this.
pub(crate) fn found(value: &str) -> impl FnOnce() -> Loads + Send + 'static {
    let value = value.to_owned();
    move || Box::pin(async move { Ok(value) })
}

/// A loader that finds this once it is let go on.
pub(crate) fn found_after(gate: Gate, value: &str) -> impl FnOnce() -> Loads + Send + 'static {
    let value = value.to_owned();
    move || {
        Box::pin(async move {
            gate.pass().await;
            Ok(value)
        })
    }
}

/// A loader that finds nothing.
pub(crate) async fn missing() -> Result<Option<String>, Infallible> {
    Ok(None)
}

/// A loader that answers so.
pub(crate) fn says(
    loaded: Loaded<String>,
) -> impl FnOnce() -> BoxFuture<'static, Result<Loaded<String>, Infallible>> + Send + 'static {
    move || Box::pin(async move { Ok(loaded) })
}

/// A loader that must not be asked.
pub(crate) async fn unasked() -> Result<String, Infallible> {
    panic!("the loader was asked, which it must not be")
}

/// A batch loader that must not be asked.
pub(crate) async fn unasked_many(keys: Vec<String>) -> Result<Vec<(String, String)>, Infallible> {
    panic!("the loader was asked for {keys:?}")
}

/// A batch loader that finds `value of <key>` for each key.
pub(crate) async fn values_of(keys: Vec<String>) -> Result<Vec<(String, String)>, Infallible> {
    Ok(keys
        .into_iter()
        .map(|key| (key.clone(), format!("value of {key}")))
        .collect())
}
