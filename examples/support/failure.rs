use std::error::Error;
use std::fmt;
use std::iter::successors;

use tiered::BoxError;

/// What the program could not do, and why.
#[derive(Debug)]
pub struct Failure {
    what: String,
    cause: Option<BoxError>,
}

impl Failure {
    /// That this could not be done.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            cause: None,
        }
    }

    /// The same, and the cause.
    #[must_use]
    pub fn because(self, cause: impl Into<BoxError>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..self
        }
    }
}

impl fmt::Display for Failure {
    /// A line for it, and one for each cause behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        let first = self.cause.as_deref().map(|cause| cause as &dyn Error);
        successors(first, |&cause| cause.source())
            .try_for_each(|cause| writeln!(f, "  because: {cause}"))
    }
}
