use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use serde_json::{from_str, to_string};
use tempfile::TempDir;
use tiered::BoxError;
use tiered_examples::Failure;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::package::Package;
use crate::records::Records;

/// The table behind the cache: a `SQLite` database in a temporary file, and a few connections to it.
pub(crate) struct Origin {
    connections: Mutex<Vec<Connection>>,
    /// As many as there are free connections.
    free: Arc<Semaphore>,
    queries: AtomicU64,
    /// Removed with the last of it.
    _folder: TempDir,
}

const CONNECTIONS: usize = 4;

impl Origin {
    /// A new database with these records.
    pub(crate) fn fill(records: &Records) -> Result<Self, Failure> {
        let unmade = |error| Failure::new("cannot make the database").because(error);
        let folder = tempfile::tempdir().map_err(|error| unmade(BoxError::from(error)))?;
        let connections = open(&folder, records).map_err(|error| unmade(error.into()))?;
        Ok(Self {
            connections: Mutex::new(connections),
            free: Arc::new(Semaphore::new(CONNECTIONS)),
            queries: AtomicU64::new(0),
            _folder: folder,
        })
    }

    /// The record of a row.
    pub(crate) async fn find(self: Arc<Self>, row: usize) -> Result<Package, BoxError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.ask(move |connection| select(connection, row)).await
    }

    /// The records of these rows, in their order.
    pub(crate) async fn find_many(
        self: Arc<Self>,
        rows: Vec<usize>,
    ) -> Result<Vec<Package>, BoxError> {
        self.queries.fetch_add(rows.len() as u64, Ordering::Relaxed);
        self.ask(move |connection| rows.iter().map(|row| select(connection, *row)).collect())
            .await
    }

    /// How many queries it was asked.
    pub(crate) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Lets a free connection work, on a thread that may block.
    async fn ask<T, F>(self: Arc<Self>, work: F) -> Result<T, BoxError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.free).acquire_owned().await?;
        let work = spawn_blocking(move || {
            let connection = self
                .connections()
                .pop()
                .expect("whoever has a permit finds a connection");
            let outcome = work(&connection);
            self.connections().push(connection);
            drop(permit);
            outcome
        });
        Ok(work.await??)
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(folder: &TempDir, records: &Records) -> rusqlite::Result<Vec<Connection>> {
    let path = folder.path().join("packages.sqlite");
    let mut first = Connection::open(&path)?;
    first.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")?;
    first.execute_batch(TABLE)?;
    let fill = first.transaction()?;
    for (row, package) in records.all().iter().enumerate() {
        insert(&fill, row, package)?;
    }
    fill.commit()?;
    let others = (1..CONNECTIONS).map(|_| Connection::open(&path));
    std::iter::once(Ok(first)).chain(others).collect()
}

const TABLE: &str = "CREATE TABLE packages (
    row INTEGER PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, section TEXT NOT NULL, priority TEXT NOT NULL,
    maintainer TEXT NOT NULL, architecture TEXT NOT NULL, installed_size INTEGER NOT NULL, size INTEGER NOT NULL,
    depends TEXT NOT NULL, homepage TEXT, description TEXT NOT NULL, tags TEXT NOT NULL, sha256 TEXT NOT NULL)";

const INSERT: &str =
    "INSERT INTO packages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

fn insert(connection: &Connection, row: usize, package: &Package) -> rusqlite::Result<()> {
    let json = |list: &Vec<String>| to_string(list).expect("a list of strings is JSON");
    let values = params![
        row,
        package.name,
        package.version,
        package.section,
        package.priority,
        package.maintainer,
        package.architecture,
        package.installed_size,
        package.size,
        json(&package.depends),
        package.homepage,
        package.description,
        json(&package.tags),
        package.sha256,
    ];
    connection.prepare_cached(INSERT)?.execute(values)?;
    Ok(())
}

fn select(connection: &Connection, row: usize) -> rusqlite::Result<Package> {
    connection
        .prepare_cached("SELECT * FROM packages WHERE row = ?1")?
        .query_row([row], package)
}

fn package(row: &Row<'_>) -> rusqlite::Result<Package> {
    Ok(Package {
        name: row.get("name")?,
        version: row.get("version")?,
        section: row.get("section")?,
        priority: row.get("priority")?,
        maintainer: row.get("maintainer")?,
        architecture: row.get("architecture")?,
        installed_size: row.get("installed_size")?,
        size: row.get("size")?,
        depends: list(row, "depends")?,
        homepage: row.get("homepage")?,
        description: row.get("description")?,
        tags: list(row, "tags")?,
        sha256: row.get("sha256")?,
    })
}

fn list(row: &Row<'_>, column: &str) -> rusqlite::Result<Vec<String>> {
    let index = row.as_ref().column_index(column)?;
    let wrong =
        |error| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error));
    from_str(row.get_ref(index)?.as_str()?).map_err(wrong)
}
