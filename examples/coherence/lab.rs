use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tiered::{Cache, Coherence, Moka, Redis, Settings};
use tiered_examples::{Address, Failure};
use tokio::process::Command;

use crate::process::Process;

/// Where runs take place: a Redis, a folder for their files, and the program that plays the roles.
pub(crate) struct Lab {
    pub(crate) redis: Address,
    folder: TempDir,
    again: fn() -> Command,
}

impl Lab {
    pub(crate) fn new(redis: Address, again: fn() -> Command) -> Result<Self, Failure> {
        let folder = tempfile::tempdir();
        let folder = folder.map_err(|error| Failure::new("no temporary folder").because(error))?;
        Ok(Self {
            redis,
            folder,
            again,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a process that plays this role.
    pub(crate) async fn start(
        &self,
        role: &str,
        plan: &impl Serialize,
    ) -> Result<Process, Failure> {
        Process::start((self.again)(), role, plan).await
    }

    /// A place for a cache with a namespace that nobody has used, and files that nobody has.
    pub(crate) fn site(&self, coherence: Coherence) -> Site {
        let name = format!("coherence-{:016x}", fastrand::u64(..));
        Site {
            url: self.redis.url(),
            files: self.folder().join(&name),
            namespace: name,
            bound: coherence.bound,
            blind_trust: coherence.blind_trust,
            claim_life: coherence.claim_life,
        }
    }
}

/// What the processes of a run have in common.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Site {
    pub(crate) url: String,
    namespace: String,
    files: PathBuf,
    pub(crate) bound: Duration,
    pub(crate) blind_trust: Duration,
    pub(crate) claim_life: Duration,
}

impl Site {
    pub(crate) async fn connect(&self) -> Result<Redis, Failure> {
        let connected = Redis::connect(&self.url).await;
        connected.map_err(|error| Failure::new("cannot connect to Redis").because(error))
    }

    /// A node on this connection. Its copies outlive every run: whatever ends them is not their age.
    pub(crate) fn cache<V>(&self, redis: &Redis) -> Result<Cache<V, u32>, Failure>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let settings = Settings {
            ttl: Duration::from_secs(3_600),
            coherence: self.coherence(),
            ..Settings::default()
        };
        let builder = tiered::Builder::new(&self.namespace).settings(settings);
        let built = builder.l1(Moka::entries(200_000)).l2(redis.clone()).build();
        built.map_err(|error| Failure::new("cannot set up the cache").because(error))
    }

    pub(crate) fn coherence(&self) -> Coherence {
        Coherence {
            bound: self.bound,
            blind_trust: self.blind_trust,
            claim_life: self.claim_life,
            ..Coherence::default()
        }
    }

    /// A file of the run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.with_extension(name)
    }
}
