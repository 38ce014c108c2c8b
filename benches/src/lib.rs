//! What the benches share: records like those of a real table, and a way to time many callers at once.

pub mod turns;
pub mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::Expiration;
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, TcpConfig};
use serde::{Deserialize, Serialize};
use tiered::RedisOptions;
use tokio::runtime::{Builder, Runtime};

/// A record of 400 to 700 bytes when encoded, with text that compresses like the text of a product table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// A short name.
    pub name: String,
    /// A version.
    pub version: String,
    /// Who keeps it.
    pub maintainer: String,
    /// In kilobytes.
    pub installed_size: u32,
    /// What else it needs.
    pub depends: Vec<String>,
    /// One line.
    pub summary: String,
    /// Some lines.
    pub description: String,
    /// Where it is told about.
    pub homepage: Option<String>,
}

impl Package {
    /// The record of this number: the same for the same number.
    pub fn numbered(number: usize) -> Self {
        const WORDS: [&str; 12] = [
            "library",
            "that",
            "reads",
            "compressed",
            "archives",
            "and",
            "network",
            "packets",
            "for",
            "shared",
            "services",
            "quickly",
        ];
        let text = |words: usize, salt: usize| -> String {
            let word = |at: usize| {
                WORDS
                    .get((at * at * 7 + at * salt + number * (at + 3)) % WORDS.len())
                    .copied()
            };
            (0..words).filter_map(word).collect::<Vec<_>>().join(" ")
        };
        Self {
            name: format!("lib{}-{number}", text(1, number)),
            version: format!("{}.{}.{}-1", number % 9, number % 31, number % 7),
            maintainer: format!(
                "Maintainer {} <m{}@lists.example.org>",
                number % 97,
                number % 97
            ),
            installed_size: u32::try_from(number % 90_000).unwrap_or_default(),
            depends: (0..4 + number % 4)
                .map(|at| format!("lib{} (>= {at}.{})", text(1, at), number % 10))
                .collect(),
            summary: text(6, 1),
            description: text(36 + number % 12, 5),
            homepage: (!number.is_multiple_of(3))
                .then(|| format!("https://example.org/packages/{number}")),
        }
    }
}

/// A runtime with as many workers as the machine has cores.
///
/// # Panics
/// If the machine has no room for it.
pub fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built")
}

/// How long `operations` take when so many callers share them, each doing one after the other.
///
/// # Panics
/// If an operation does.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures with the full clock"
)]
pub async fn time<F, Fut>(callers: usize, operations: u64, operation: F) -> Duration
where
    F: Fn(u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let operation = Arc::new(operation);
    let begin = Instant::now();
    let caller = |caller: u64| {
        let operation = Arc::clone(&operation);
        tokio::spawn(async move {
            for number in (caller..operations).step_by(callers) {
                operation(number).await;
            }
        })
    };
    let callers: Vec<_> = (0..callers as u64).map(caller).collect();
    for caller in callers {
        caller.await.expect("no operation panics");
    }
    begin.elapsed()
}

/// fred by itself, set up as `tiered` sets it up: as many connections, the same timeouts, no Nagle.
#[derive(Clone)]
pub struct Fred(Arc<[Client]>);

impl Fred {
    /// Connects.
    ///
    /// # Panics
    /// If that fails.
    pub async fn connect(url: &str) -> Self {
        let options = RedisOptions::new(url);
        let config = Config::from_url(url).expect("the url is right");
        let performance = PerformanceConfig {
            default_command_timeout: options.command_timeout,
            ..Default::default()
        };
        let tcp = TcpConfig {
            nodelay: Some(true),
            ..Default::default()
        };
        let connection = ConnectionConfig {
            tcp,
            ..Default::default()
        };
        let mut clients = Vec::new();
        for _ in 0..options.connections {
            let client = Client::new(
                config.clone(),
                Some(performance.clone()),
                Some(connection.clone()),
                None,
            );
            client.init().await.expect("the server is there");
            clients.push(client);
        }
        Self(clients.into())
    }

    /// The client whose turn it is.
    ///
    /// # Panics
    /// Never: there is at least one.
    pub fn client(&self, turn: usize) -> &Client {
        self.0
            .get(turn % self.0.len())
            .expect("the number is below the length")
    }

    /// `GET`, and bincode.
    ///
    /// # Panics
    /// If there is no such package.
    pub async fn get(&self, turn: usize, key: &str) -> Arc<Package> {
        let bytes: Bytes = self
            .client(turn)
            .get(key)
            .await
            .expect("the server answers");
        Arc::new(decode(&bytes))
    }

    /// `GET` of a key that may not be there.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn find(&self, turn: usize, key: &str) -> Option<Bytes> {
        let found = self.client(turn).get(key).await;
        found.expect("the server answers")
    }

    /// bincode, and `SET` with a life of five minutes.
    ///
    /// # Panics
    /// If the server does not do it.
    pub async fn set(&self, turn: usize, key: &str, value: &Package) {
        let bytes = Bytes::from(encode(value));
        let life = Some(Expiration::PX(300_000));
        let () = self
            .client(turn)
            .set(key, bytes, life, None, false)
            .await
            .expect("the server answers");
    }
}

impl std::fmt::Debug for Fred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fred")
            .field("connections", &self.0.len())
            .finish()
    }
}

/// The value as bincode writes it.
///
/// # Panics
/// Never: it can be written.
pub fn encode(value: &Package) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).expect("it can be encoded")
}

/// The value that bincode reads.
///
/// # Panics
/// If it reads none.
pub fn decode(bytes: &[u8]) -> Package {
    let (value, _) = bincode::serde::decode_from_slice(bytes, bincode::config::standard())
        .expect("it was encoded");
    value
}
