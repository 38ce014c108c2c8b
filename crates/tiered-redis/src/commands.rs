use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::clients::{Client, WithOptions};
use fred::interfaces::{KeysInterface, PubsubInterface};
use fred::types::Expiration;
use futures_util::future::{join, join_all};
use tiered_core::{Record, Result, Stamp, Write};
use xxhash_rust::xxh3::xxh3_64;

use crate::connection::Connection;
use crate::listener::Listener;
use crate::reads::or_foreign;
use crate::setup::Setup;
use crate::{channel, clock, error};

/// What the clones of a handle share: the connections, and the commands that go over them.
pub(crate) struct Shared {
    pub(crate) setup: Arc<Setup>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) listener: Option<Listener>,
    pub(crate) warnings: Vec<String>,
}

impl Shared {
    /// Which connection all commands of the key use.
    pub(crate) fn place(&self, key: &str) -> usize {
        if self.connections.len() == 1 {
            return 0;
        }
        let places = self.connections.len() as u64;
        usize::try_from(xxh3_64(key.as_bytes()) % places).unwrap_or(0)
    }

    pub(crate) fn turn(&self, place: usize) -> Result<Arc<WithOptions<Client>>> {
        let connection = self.connections.get(place);
        connection.ok_or_else(error::not_connected)?.line.turn()
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Record>> {
        let connection = self.connections.get(self.place(key));
        connection
            .ok_or_else(error::not_connected)?
            .reads
            .one(key)
            .await
    }

    /// One command per connection.
    pub(crate) async fn get_some(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        let places: Vec<_> = keys.iter().map(|key| self.place(key)).collect();
        let groups = self
            .connections
            .iter()
            .enumerate()
            .map(|(place, connection)| {
                let of_place = keys
                    .iter()
                    .zip(&places)
                    .filter(move |(_, at)| **at == place);
                let keys: Vec<_> = of_place.map(|(key, _)| *key).collect();
                async move { connection.reads.many(&keys).await.into_iter() }
            });
        let mut groups = join_all(groups).await;
        let next = |place: usize| groups.get_mut(place)?.next();
        places.into_iter().map_while(next).collect()
    }

    pub(crate) async fn head(&self, key: &str) -> Result<Option<Record>> {
        let client = self.turn(self.place(key))?;
        match client.getrange::<Bytes, _>(key, 0, LAST_OF_HEAD).await {
            // What is missing reads as empty.
            Ok(head) if head.is_empty() => Ok(None),
            Ok(head) => Ok(Some(Record::new(head))),
            Err(cause) => Ok(or_foreign(Err(cause))?.map(Record::new)),
        }
    }

    pub(crate) async fn set(&self, write: &Write<'_>) -> Result<()> {
        let bytes = write.record.bytes().clone();
        if bytes.len() > LARGEST {
            return Err(error::too_large());
        }
        let client = self.turn(self.place(write.key))?;
        let life = Expiration::PX(millis(write.life));
        let written = client.set(write.key, bytes, Some(life), None, false);
        written.await.map_err(|cause| error::of_command(&cause))
    }

    pub(crate) async fn remove(&self, key: &str) -> Result<Option<Record>> {
        let client = self.turn(self.place(key))?;
        let head = client.getrange::<Bytes, _>(key, 0, LAST_OF_HEAD);
        let removed = client.unlink::<u64, _>(key);
        match join(head, removed).await {
            (_, Err(cause)) => Err(error::of_command(&cause)),
            (_, Ok(0)) => Ok(None),
            // What was there is gone; where its head is not known, an empty one says so.
            (head, Ok(_)) => Ok(Some(Record::new(head.unwrap_or_default()))),
        }
    }

    /// Which connection is asked does not matter: the server has one clock.
    pub(crate) async fn time(&self) -> Result<Stamp> {
        clock::time(&*self.turn(0)?).await
    }

    /// All messages go over one connection, and so stay in order.
    pub(crate) async fn publish(&self, namespace: &str, message: Bytes) -> Result<()> {
        let client = self.turn(0)?;
        let published = client.publish::<(), _, _>(channel::of(namespace), message);
        published.await.map_err(|cause| error::of_command(&cause))
    }
}

/// What Redis takes in one value.
pub(crate) const LARGEST: usize = 512 * 1024 * 1024;

/// Where `GETRANGE` ends.
const LAST_OF_HEAD: usize = Record::HEAD - 1;

/// A life as Redis takes it: from one millisecond to what its clock can hold.
pub(crate) fn millis(life: Duration) -> i64 {
    let millis = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
    millis.clamp(1, i64::MAX / 2)
}
