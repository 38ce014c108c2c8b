use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Result};
use tiered::BoxError;
use tiered_examples::Failure;
use tokio::task::spawn_blocking;

/// The source of all values: a `SQLite` database that all processes of a run have open. Clones share a connection.
#[derive(Clone)]
pub(crate) struct Table(Arc<Mutex<Connection>>);

impl Table {
    /// A new database with a row for each key below `keys`.
    pub(crate) async fn create(file: &Path, keys: u32) -> std::result::Result<Self, Failure> {
        let table = Self::open(file)?;
        let made = table.ask(move |connection| {
            connection.execute_batch(TABLES)?;
            let change = connection.transaction()?;
            for key in 0..keys {
                change.execute("INSERT INTO rows VALUES (?1, 1)", [key])?;
            }
            change.commit()
        });
        let made = made.await;
        made.map_err(|error| Failure::new("cannot make the database").because(error))?;
        Ok(table)
    }

    pub(crate) fn open(file: &Path) -> std::result::Result<Self, Failure> {
        let opened = Connection::open(file).and_then(|connection| {
            connection.busy_timeout(Duration::from_secs(20))?;
            connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")?;
            Ok(Self(Arc::new(Mutex::new(connection))))
        });
        opened.map_err(|error| Failure::new("cannot open the database").because(error))
    }

    /// The version of a row.
    pub(crate) async fn version(self, key: u32) -> std::result::Result<u32, BoxError> {
        let select = "SELECT version FROM rows WHERE key = ?1";
        self.ask(move |connection| {
            let mut select = connection.prepare_cached(select)?;
            select.query_row([key], |row| row.get(0))
        })
        .await
    }

    /// Changes rows together, and answers with their new versions.
    pub(crate) async fn change(&self, keys: Vec<u32>) -> std::result::Result<Vec<u32>, BoxError> {
        let update = "UPDATE rows SET version = version + 1 WHERE key = ?1 RETURNING version";
        self.ask(move |connection| {
            let change = connection.transaction()?;
            let versions = keys
                .iter()
                .map(|key| change.query_row(update, [key], |row| row.get(0)));
            let versions = versions.collect::<Result<_>>()?;
            change.commit()?;
            Ok(versions)
        })
        .await
    }

    /// Notes that a load of this key has begun.
    pub(crate) async fn begin_load(&self, key: u32) -> std::result::Result<(), BoxError> {
        self.ask(move |connection| connection.execute("INSERT INTO loads VALUES (?1)", [key]))
            .await
            .map(drop)
    }

    /// How many loads of this key have begun.
    pub(crate) async fn loads(&self, key: u32) -> std::result::Result<u64, BoxError> {
        let count = "SELECT count(*) FROM loads WHERE key = ?1";
        self.ask(move |connection| connection.query_row(count, [key], |row| row.get(0)))
            .await
    }

    /// Lets the connection work, on a thread that may block.
    async fn ask<T, F>(&self, work: F) -> std::result::Result<T, BoxError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        let connection = Arc::clone(&self.0);
        let work = move || work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(spawn_blocking(work).await??)
    }
}

const TABLES: &str = "CREATE TABLE rows (key INTEGER PRIMARY KEY, version INTEGER NOT NULL);
    CREATE TABLE loads (key INTEGER NOT NULL);";
