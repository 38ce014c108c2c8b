use bytes::Bytes;
use fred::types::Value;
use tiered_core::{NewMark, Result, Version};

use crate::commands::{Shared, millis};
use crate::error;
use crate::fence::bytes;
use crate::scripts::{Run, Script};

/// How many marks go into one run of a script, so that it does not keep the server long.
const AT_A_TIME: usize = 512;

/// A mark is a string of eight bytes under its own name, which begins with `#`, as no key does: where it does not, a `#` is
/// put before it. All of them go over one connection, in order.
impl Shared {
    pub(crate) async fn read_marks(&self, marks: &[NewMark<'_>]) -> Result<Vec<Version>> {
        let mut versions = Vec::with_capacity(marks.len());
        for some in marks.chunks(AT_A_TIME) {
            let read = self.run_marks(Script::ReadMarks, some).await?;
            let read: Bytes = read.convert().map_err(|_| error::garbled())?;
            versions.extend(read.as_chunks().0.iter().copied().map(Version::from_bytes));
        }
        if versions.len() != marks.len() {
            return Err(error::garbled());
        }
        Ok(versions)
    }

    pub(crate) async fn write_marks(&self, marks: &[NewMark<'_>]) -> Result<()> {
        for some in marks.chunks(AT_A_TIME) {
            self.run_marks(Script::WriteMarks, some).await?;
        }
        Ok(())
    }

    async fn run_marks(&self, script: Script, marks: &[NewMark<'_>]) -> Result<Value> {
        let argument = |mark: &NewMark<'_>| [bytes(mark.version), millis(mark.life).into()];
        let run = Run {
            script,
            keys: marks.iter().map(|mark| stored_name(mark.name)).collect(),
            arguments: marks.iter().flat_map(argument).collect(),
        };
        let client = self.turn(0)?;
        let ran = self.setup.scripts.run(&client, &run).await;
        ran.map_err(|cause| error::of_command(&cause))
    }
}

fn stored_name(name: &str) -> Value {
    if name.starts_with('#') {
        name.into()
    } else {
        format!("#{name}").into()
    }
}
