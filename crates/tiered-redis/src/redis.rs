use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fred::types::config::Config;
use futures_util::future::{join_all, try_join_all};
use tiered_core::{L2, Record, Result, Write};
use tokio::runtime::Handle;

use crate::batch::{each, in_parts};
use crate::call::Setup;
use crate::commands::Shared;
use crate::connection::Connection;
use crate::{RedisOptions, address, error};

/// A handle to one Redis server. Clones share its connections; when the last one is dropped, they are closed.
///
/// As an [`L2`]: all commands of a key go over one connection, and take effect in the order in which they were given.
/// When the server does not answer, an operation ends after `command_timeout`; while the connection is lost it fails
/// at once, and works again after the server is back. A dropped future takes nothing back: its command may still
/// run. What somebody else has put under a key as a list, hash or the like is answered as a record without bytes, or
/// as missing.
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
    /// Returns when every connection is up and has worked, after about two seconds at most. Dropped before, it
    /// leaves nothing behind.
    ///
    /// # Errors
    /// [`Config`](tiered_core::ErrorKind::Config) for what has to be corrected: the url, the user, the password, the
    /// number of the database. [`Unavailable`](tiered_core::ErrorKind::Unavailable) when no Redis answers there.
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
        let setup = Arc::new(Setup::new(config, options)?);
        Handle::try_current().map_err(|_| error::no_runtime())?;
        let each = (0..setup.options.connections).map(|_| Connection::open(setup.clone()));
        let connections = try_join_all(each).await?;
        let address = setup.address.clone();
        Ok(Self(Arc::new(Shared {
            address,
            connections,
        })))
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
        join_all(self.0.connections.iter().map(Connection::close)).await;
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
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = &self.0.connections;
        let up = connections.iter().filter(|connection| connection.is_up());
        f.debug_struct("Redis")
            .field("address", &self.0.address)
            .field("connections", &connections.len())
            .field("up", &up.count())
            .finish()
    }
}
