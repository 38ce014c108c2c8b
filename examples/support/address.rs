use std::time::Duration;
use std::{io, iter};

use tiered::BoxError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Failure;

/// Where a Redis is, and a way to give it orders that a cache has no business with.
#[derive(Clone, Debug)]
pub struct Address {
    /// `user:password@`, or nothing.
    credentials: String,
    /// The name of its machine.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `/database`, or nothing.
    database: String,
}

impl Address {
    /// The parts of `redis://user:password@host:port/database`.
    pub fn parse(url: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::new("the address is not of the form redis://user:password@host:port/database")
        };
        let rest = url.strip_prefix("redis://").ok_or_else(wrong)?;
        let (credentials, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (place, database) = place.split_once('/').unwrap_or((place, ""));
        let (host, port) = place.rsplit_once(':').unwrap_or((place, "6379"));
        let affixed = |text: &str, whole| {
            if text.is_empty() {
                String::new()
            } else {
                whole
            }
        };
        Ok(Self {
            credentials: affixed(credentials, format!("{credentials}@")),
            host: host.to_owned(),
            port: port
                .parse()
                .map_err(|error| wrong().because(BoxError::from(error)))?,
            database: affixed(database, format!("/{database}")),
        })
    }

    /// All parts in one.
    pub fn url(&self) -> String {
        let Self {
            credentials,
            host,
            port,
            database,
        } = self;
        format!("redis://{credentials}{host}:{port}{database}")
    }

    /// The same Redis, for this user.
    #[must_use]
    pub fn for_user(&self, user: &str, password: &str) -> Self {
        Self {
            credentials: format!("{user}:{password}@"),
            ..self.clone()
        }
    }

    /// The same Redis, seen through a port of this machine.
    #[must_use]
    pub fn through(&self, port: u16) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port,
            ..self.clone()
        }
    }

    /// Ends all connections of a type, as a restart of the server would. `normal` or `pubsub`.
    pub async fn kill_clients(&self, kind: &str) -> Result<(), Failure> {
        self.order(&[format!("CLIENT KILL TYPE {kind}")]).await?;
        Ok(())
    }

    /// Gives orders, each as it would be typed, and answers with all replies as they come. One refusal fails them all.
    pub async fn order(&self, orders: &[impl AsRef<str> + Sync]) -> Result<String, Failure> {
        let lines = orders.iter().map(|order| format!("{}\r\n", order.as_ref()));
        let lines: String = iter::once(self.introduction()).chain(lines).collect();
        let unanswered = || Failure::new(format!("{}:{} takes no orders", self.host, self.port));
        let asked = timeout(PATIENCE, self.ask(&lines)).await;
        let replies = asked
            .map_err(|error| unanswered().because(error))?
            .map_err(|error| unanswered().because(error))?;
        match replies.lines().find(|line| line.starts_with('-')) {
            Some(refusal) => Err(unanswered().because(refusal.to_owned())),
            None => Ok(replies),
        }
    }

    fn introduction(&self) -> String {
        let (user, password) = self
            .credentials
            .trim_end_matches('@')
            .split_once(':')
            .unwrap_or_default();
        match (user, password) {
            ("", "") => String::new(),
            ("", password) => format!("AUTH {password}\r\n"),
            (user, password) => format!("AUTH {user} {password}\r\n"),
        }
    }

    async fn ask(&self, orders: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream
            .write_all(format!("{orders}QUIT\r\n").as_bytes())
            .await?;
        let mut replies = String::new();
        stream.read_to_string(&mut replies).await?;
        Ok(replies)
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
