//! The scripts that the server runs, so that comparing and changing a record is one step.
//!
//! The server knows a script by its hash, once it was loaded. A server that was restarted or flushed knows none: then the
//! text is sent, and from then on the hash does again. Replies are numbers or one string of bytes, never arrays: see
//! [`reads`](crate::reads). fred has methods for all of this, but they pass over the options of a client, its timeout
//! included: they are not implemented for [`WithOptions`], which gives way to the bare client without a word.

use std::sync::OnceLock;

use fred::bytes_utils::Str;
use fred::clients::{Client, WithOptions};
use fred::error::Error as Cause;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use futures_util::future::try_join_all;
use tiered_core::Result;

use crate::error;

#[derive(Clone, Copy)]
pub(crate) enum Script {
    Claim,
    Expire,
    Fill,
    ReadMarks,
    Release,
    Renew,
    WriteMarks,
}

/// One run of a script.
pub(crate) struct Run {
    pub(crate) script: Script,
    pub(crate) keys: Vec<Value>,
    pub(crate) arguments: Vec<Value>,
}

/// The hashes of the scripts, once a server has told them.
#[derive(Default)]
pub(crate) struct Scripts(OnceLock<Vec<Str>>);

impl Script {
    const ALL: [Self; 7] = [
        Self::Claim,
        Self::Expire,
        Self::Fill,
        Self::ReadMarks,
        Self::Release,
        Self::Renew,
        Self::WriteMarks,
    ];

    fn text(self) -> Str {
        Str::from_static(match self {
            Self::Claim => include_str!("scripts/claim.lua"),
            Self::Expire => include_str!("scripts/expire.lua"),
            Self::Fill => include_str!("scripts/fill.lua"),
            Self::ReadMarks => include_str!("scripts/read_marks.lua"),
            Self::Release => include_str!("scripts/release.lua"),
            Self::Renew => include_str!("scripts/renew.lua"),
            Self::WriteMarks => include_str!("scripts/write_marks.lua"),
        })
    }
}

impl Scripts {
    /// Makes all scripts known to the server.
    pub(crate) async fn load(&self, client: &WithOptions<Client>) -> Result<()> {
        let loads = Script::ALL.map(|script| {
            let words = vec![Str::from_static("LOAD"), script.text()];
            client.custom::<Str, _>(command("SCRIPT"), words)
        });
        let hashes = try_join_all(loads).await;
        let hashes = hashes.map_err(|cause| error::of_scripts(&cause))?;
        // They are those of the same texts as the last time.
        let _ = self.0.set(hashes);
        Ok(())
    }

    pub(crate) async fn run(
        &self,
        client: &WithOptions<Client>,
        run: &Run,
    ) -> Result<Value, Cause> {
        if let Some(hash) = self.hash(run.script) {
            let ran = client
                .custom(command("EVALSHA"), run.words(hash.clone()))
                .await;
            match ran {
                Err(cause) if error::is_unknown_script(&cause) => {}
                ran => return ran,
            }
        }
        run.by_text(client).await
    }

    fn hash(&self, script: Script) -> Option<&Str> {
        self.0.get()?.get(script as usize)
    }
}

impl Run {
    /// Sends the script itself.
    pub(crate) async fn by_text(&self, client: &WithOptions<Client>) -> Result<Value, Cause> {
        client
            .custom(command("EVAL"), self.words(self.script.text()))
            .await
    }

    fn words(&self, script: Str) -> Vec<Value> {
        let count = i64::try_from(self.keys.len()).unwrap_or(i64::MAX);
        let mut words = vec![script.into(), count.into()];
        words.extend(self.keys.iter().chain(&self.arguments).cloned());
        words
    }
}

fn command(name: &'static str) -> CustomCommand {
    CustomCommand::new_static(name, ClusterHash::Random, false)
}
