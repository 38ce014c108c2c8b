use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fred::types::config::Config;
use futures_util::future::{join, join_all, try_join_all};
use tiered_core::{
    Backplane, Claim, Claimed, Expiry, Fill, Hold, L2, NewMark, Record, Result, Stamp,
    Subscription, Version, Write,
};
use tokio::runtime::Handle;

use crate::batch::{each, in_parts};
use crate::commands::Shared;
use crate::connection::Connection;
use crate::ear::Ear;
use crate::setup::Setup;
use crate::{RedisOptions, address, error, trial};

/// A handle to one Redis server. Clones share its connections; when the last one is dropped, they are closed.
///
/// As an [`L2`]: all commands of a key go over one connection, and take effect in the order in which they were given.
/// When the server does not answer, an operation ends after `command_timeout`; while the connection is lost it fails
/// at once, and works again after the server is back. A dropped future takes nothing back: its command may still
/// run. What somebody else has put under a key as a list, hash or the like is answered as a record without bytes, or
/// as missing; a claim takes its place.
///
/// As a [`Backplane`]: messages go through the server's PUBLISH and SUBSCRIBE, over one more connection of this handle.
/// A subscription that is more than 4,096 messages behind gets a gap; so do all when the connection itself cannot keep up,
/// was lost, or was silent for about four times `command_timeout`. Subscriptions end when the last handle is dropped.
///
/// # What stands in the server
///
/// Records stand under their keys. All else begins with `#`, which no key of a cache does: `#lock:` and the key is the
/// claim on a record, marks of tags and namespaces stand under their names, and `#bus:` and the namespace is the channel
/// of its messages. A user with limited rights needs all keys that begin with the namespaces and with `#`, the channels
/// that begin with `#bus:`, and the commands GET, MGET, SET, GETRANGE, SETRANGE, STRLEN, PTTL, PEXPIRE, DEL, UNLINK, EVAL,
/// EVALSHA, SCRIPT LOAD, TIME, PING, HELLO, PUBLISH, SUBSCRIBE and UNSUBSCRIBE; for the tracking CLIENT TRACKING, and to
/// be warned CONFIG GET.
///
/// ```no_run
/// use tiered_core::L2;
/// use tiered_redis::Redis;
///
/// # async fn example() -> tiered_core::Result<()> {
/// let redis = Redis::connect("redis://127.0.0.1:6379").await?;
/// let found = redis.get_many(&["users:7"]).await;
/// redis.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

impl Redis {
    /// Connects with the default options.
    ///
    /// Returns when every connection is up and all that will be used has worked: the scripts, the server's clock, a
    /// message to oneself, the tracking if it is asked for. That takes three times `connect_timeout` at most, and a few
    /// times `command_timeout`: about eight seconds. What is wrong with the server but does no harm yet is in
    /// [`warnings`](Self::warnings). Dropped before it has returned, it leaves nothing behind.
    ///
    /// # Errors
    /// [`Config`](tiered_core::ErrorKind::Config) for what has to be corrected: the url, the user, the password, the
    /// number of the database, the rights. [`Unavailable`](tiered_core::ErrorKind::Unavailable) when no Redis answers
    /// there, or when it does not pass on what is published.
    ///
    /// ```no_run
    /// # async fn example() -> tiered_core::Result<()> {
    /// let redis = tiered_redis::Redis::connect("redis://user:password@10.0.0.7:6379/2").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(RedisOptions::new(url)).await
    }

    /// Connects with these options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); also [`Config`](tiered_core::ErrorKind::Config) when an option is out of its
    /// range.
    ///
    /// ```no_run
    /// use tiered_redis::{Redis, RedisOptions};
    ///
    /// # async fn example() -> tiered_core::Result<()> {
    /// let options = RedisOptions { connections: 4, ..RedisOptions::new("redis://10.0.0.7") };
    /// let redis = Redis::connect_with(options).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_with(options: RedisOptions) -> Result<Self> {
        let config = address::config(&options.url)?;
        Self::from_fred_config(config, options).await
    }

    /// Connects with a configuration of fred's own, for what an url cannot say: certificates, for example.
    ///
    /// The url of the options is not looked at; the configuration's `fail_fast` neither.
    ///
    /// # Errors
    /// As [`connect_with`](Self::connect_with); also [`Config`](tiered_core::ErrorKind::Config) for clusters and
    /// sentinels.
    ///
    /// ```no_run
    /// use fred::types::config::{Config, ServerConfig};
    /// use tiered_redis::{Redis, RedisOptions};
    ///
    /// # async fn example() -> tiered_core::Result<()> {
    /// let server = ServerConfig::new_centralized("10.0.0.7", 6379);
    /// let config = Config { server, ..Config::default() };
    /// let redis = Redis::from_fred_config(config, RedisOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn from_fred_config(config: Config, options: RedisOptions) -> Result<Self> {
        let setup = Setup::new(config, options)?;
        Handle::try_current().map_err(|_| error::no_runtime())?;
        let each = (0..setup.options.connections).map(|_| Connection::open(setup.clone()));
        let connections = try_join_all(each).await?;
        let (listener, warnings) = trial::of(&setup, &connections).await?;
        Ok(Self(Arc::new(Shared {
            setup,
            connections,
            listener,
            warnings,
        })))
    }

    /// What is wrong with the server's settings, though it works: for a log, once. Found when connecting.
    ///
    /// ```no_run
    /// # async fn example(redis: tiered_redis::Redis) {
    /// for warning in redis.warnings() {
    ///     eprintln!("redis: {warning}");
    /// }
    /// # }
    /// ```
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// Closes the connections of all clones, and waits until they are closed.
    ///
    /// Commands under way get about twice `command_timeout` to finish. From now on every operation fails at once as
    /// [`Unavailable`](tiered_core::ErrorKind::Unavailable). May be called more than once; dropped before it ends, the
    /// closing goes on.
    ///
    /// ```no_run
    /// # async fn example(redis: tiered_redis::Redis) {
    /// redis.shutdown().await;
    /// # }
    /// ```
    pub async fn shutdown(&self) {
        let listener = async {
            if let Some(listener) = &self.0.listener {
                listener.close().await;
            }
        };
        let connections = join_all(self.0.connections.iter().map(Connection::close));
        join(listener, connections).await;
    }
}

#[async_trait]
impl L2 for Redis {
    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        match keys {
            [key] => vec![self.0.get(key).await],
            keys => in_parts(keys, |some| self.0.get_some(some)).await,
        }
    }

    async fn heads_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        each(keys, |key| self.0.head(key)).await
    }

    async fn set_many(&self, writes: &[Write<'_>]) -> Vec<Result<()>> {
        each(writes, |write| self.0.set(write)).await
    }

    async fn remove_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        each(keys, |key| self.0.remove(key)).await
    }

    async fn expire_many(&self, expiries: &[Expiry<'_>]) -> Vec<Result<Option<Record>>> {
        each(expiries, |expiry| self.0.expire(expiry)).await
    }

    async fn claim_many(&self, claims: &[Claim<'_>]) -> Vec<Result<Claimed>> {
        each(claims, |claim| self.0.claim(claim)).await
    }

    async fn fill_many(&self, fills: &[Fill<'_>]) -> Vec<Result<bool>> {
        each(fills, |fill| self.0.fill(fill)).await
    }

    async fn renew_many(&self, holds: &[Hold<'_>], life: Duration) -> Vec<Result<bool>> {
        each(holds, |hold| self.0.renew(hold, life)).await
    }

    async fn release_many(&self, holds: &[Hold<'_>], pass: Option<Duration>) -> Vec<Result<()>> {
        each(holds, |hold| self.0.release(hold, pass)).await
    }

    async fn read_marks(&self, marks: &[NewMark<'_>]) -> Result<Vec<Version>> {
        self.0.read_marks(marks).await
    }

    async fn write_marks(&self, marks: &[NewMark<'_>]) -> Result<()> {
        self.0.write_marks(marks).await
    }

    async fn time(&self) -> Result<Stamp> {
        self.0.time().await
    }

    fn backplane(&self) -> Option<Arc<dyn Backplane>> {
        self.0.listener.as_ref()?;
        Some(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Backplane for Redis {
    async fn publish(&self, namespace: &str, message: Bytes) -> Result<()> {
        self.0.publish(namespace, message).await
    }

    fn subscribe(&self, namespace: &str) -> Box<dyn Subscription> {
        let listener = self.0.listener.as_ref();
        Box::new(listener.map_or_else(Ear::deaf, |listener| listener.subscribe(namespace)))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = &self.0.connections;
        let up = connections.iter().filter(|connection| connection.is_up());
        f.debug_struct("Redis")
            .field("address", &self.0.setup.address)
            .field("connections", &connections.len())
            .field("up", &up.count())
            .field("listens", &self.0.listener.is_some())
            .field("warnings", &self.0.warnings)
            .finish()
    }
}
