use std::time::Duration;

use bytes::Bytes;
use fred::types::Value;
use tiered_core::{Claim, Claimed, Expiry, Fill, Hold, Record, Result, Seen, Version};

use crate::commands::{LARGEST, Shared, millis};
use crate::scripts::{Run, Script};
use crate::{error, lock};

/// What the scripts do: each function is one of them.
impl Shared {
    pub(crate) async fn expire(&self, expiry: &Expiry<'_>) -> Result<Option<Record>> {
        let run = Run {
            script: Script::Expire,
            keys: vec![expiry.key.into()],
            arguments: vec![bytes(expiry.version)],
        };
        let head = self.run_for(expiry.key, run).await?;
        let head: Option<Bytes> = head.convert().map_err(|_| error::garbled())?;
        Ok(head.map(Record::new))
    }

    pub(crate) async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed> {
        let placeholder = Record::claim(claim.token, claim.mark);
        let arguments = vec![
            bytes(claim.token),
            placeholder.into_bytes().into(),
            seen(claim.seen),
            millis(claim.life).into(),
        ];
        match self.run_on(claim.key, Script::Claim, arguments).await? {
            Value::Integer(1) => Ok(Claimed::Granted(claim.token)),
            Value::Integer(2) => granted_as(claim.seen),
            Value::Integer(3) => Ok(Claimed::Busy),
            Value::String(record) => Ok(Claimed::Changed(Record::new(record.into_inner()))),
            Value::Bytes(record) => Ok(Claimed::Changed(Record::new(record))),
            _ => Err(error::garbled()),
        }
    }

    pub(crate) async fn fill(&self, fill: &Fill<'_>) -> Result<bool> {
        let Hold { key, held, token } = fill.hold;
        let record = fill.record.bytes().clone();
        if record.len() > LARGEST {
            self.release(&fill.hold, None).await?;
            return Err(error::too_large());
        }
        let life = millis(fill.life).into();
        let arguments = vec![bytes(held), bytes(token), record.into(), life];
        is_one(&self.run_on(key, Script::Fill, arguments).await?)
    }

    pub(crate) async fn renew(&self, hold: &Hold<'_>, life: Duration) -> Result<bool> {
        let Hold { key, held, token } = *hold;
        let arguments = vec![bytes(held), bytes(token), millis(life).into()];
        is_one(&self.run_on(key, Script::Renew, arguments).await?)
    }

    pub(crate) async fn release(&self, hold: &Hold<'_>, pass: Option<Duration>) -> Result<()> {
        let pass = pass.map_or_else(|| "".into(), |life| millis(life).into());
        let arguments = vec![bytes(hold.token), pass];
        let released = self.run_on(hold.key, Script::Release, arguments).await;
        released.map(drop)
    }

    /// Runs a script on a record and its lock.
    async fn run_on(&self, key: &str, script: Script, arguments: Vec<Value>) -> Result<Value> {
        let run = Run {
            script,
            keys: vec![key.into(), lock::of(key).into()],
            arguments,
        };
        self.run_for(key, run).await
    }

    async fn run_for(&self, key: &str, run: Run) -> Result<Value> {
        let client = self.turn(self.place(key))?;
        let ran = self.setup.scripts.run(&client, &run).await;
        ran.map_err(|cause| error::of_command(&cause))
    }
}

fn granted_as(seen: Seen) -> Result<Claimed> {
    match seen {
        Seen::Version(version) => Ok(Claimed::Granted(version)),
        Seen::Nothing | Seen::Anything => Err(error::garbled()),
    }
}

fn seen(seen: Seen) -> Value {
    match seen {
        Seen::Nothing => "".into(),
        Seen::Anything => "*".into(),
        Seen::Version(version) => bytes(version),
    }
}

pub(crate) fn bytes(version: Version) -> Value {
    Value::Bytes(Bytes::copy_from_slice(&version.to_bytes()))
}

fn is_one(reply: &Value) -> Result<bool> {
    match reply {
        Value::Integer(reply) => Ok(*reply == 1),
        _ => Err(error::garbled()),
    }
}
