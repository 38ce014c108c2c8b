use fred::clients::{Client, WithOptions};
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use tiered_core::{Result, Stamp};

use crate::error;

/// The server's wall clock, now.
///
/// The reply is an array of two: too short for fred to take it for news of pub/sub, see [`reads`](crate::reads).
pub(crate) async fn time(client: &WithOptions<Client>) -> Result<Stamp> {
    let command = CustomCommand::new_static("TIME", ClusterHash::Random, false);
    let told: Result<Value, _> = client.custom(command, Vec::<Value>::new()).await;
    let told = told.map_err(|cause| error::of_time(&cause))?;
    let (seconds, micros): (u64, u64) = told.convert().map_err(|_| error::garbled())?;
    let millis = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
    Ok(Stamp::from_millis(millis))
}
