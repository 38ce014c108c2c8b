use std::fmt;
use std::time::Duration;

use tiered_examples::millis;

/// What was measured, against what was aimed at.
#[derive(Default)]
pub(crate) struct Targets {
    /// What the next rows are about.
    about: String,
    rows: Vec<Row>,
}

struct Row {
    what: String,
    measured: String,
    /// What it should be at most; nothing where it is only told.
    target: String,
    is_met: bool,
}

impl Targets {
    pub(crate) fn is_sound(&self) -> bool {
        self.rows.iter().all(|row| row.is_met)
    }

    /// All that follows is about this.
    pub(crate) fn about(&mut self, what: impl Into<String>) {
        self.about = what.into();
    }

    /// A time that should not be longer.
    pub(crate) fn time(&mut self, what: &str, measured: Duration, most: Duration) {
        let target = format!("≤ {}", millis(most));
        self.add(what, millis(measured), target, measured <= most);
    }

    /// A number that should not be larger.
    pub(crate) fn number(&mut self, what: &str, measured: u64, most: u64) {
        let target = format!("≤ {most}");
        self.add(what, measured.to_string(), target, measured <= most);
    }

    /// Something that should be so.
    pub(crate) fn claim(&mut self, what: &str, is_so: bool) {
        let measured = if is_so { "yes" } else { "no" };
        self.add(what, measured.to_owned(), "yes".to_owned(), is_so);
    }

    /// Something to compare with.
    pub(crate) fn tell(&mut self, what: &str, measured: impl fmt::Display) {
        self.add(what, measured.to_string(), String::new(), true);
    }

    fn add(&mut self, what: &str, measured: String, target: String, is_met: bool) {
        let about = &self.about;
        let what = if about.is_empty() {
            what.to_owned()
        } else {
            format!("{about}: {what}")
        };
        self.rows.push(Row {
            what,
            measured,
            target,
            is_met,
        });
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| measured | value | target | met |\n| --- | --: | --: | --- |"
        )?;
        self.rows.iter().try_for_each(|row| {
            let met = match (row.target.as_str(), row.is_met) {
                ("", _) => "",
                (_, true) => "yes",
                (_, false) => "**NO**",
            };
            writeln!(
                f,
                "| {} | {} | {} | {met} |",
                row.what, row.measured, row.target
            )
        })
    }
}
