use std::fmt;

use tiered_core::BoxError;

/// Marks a loader's error as the source's last word: gone, forbidden. No older copy is answered in its place, and what is cached
/// of the key is removed from both tiers on all nodes, also what was put there while the load ran: the next read asks the source.
///
/// Any other error is taken for a passing one, which older copies may cover.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tiered::Result<()> {
/// use std::io::{Error, ErrorKind};
/// use tiered::{Authoritative, BoxError, Cache, Moka};
///
/// let names: Cache<String> = Cache::builder("names").l1(Moka::entries(100)).build()?;
/// let load = || async {
///     let answer: Result<String, Error> = Err(ErrorKind::PermissionDenied.into());
///     answer.map_err(|error| match error.kind() {
///         ErrorKind::PermissionDenied | ErrorKind::NotFound => Authoritative::new(error).into(),
///         _ => BoxError::from(error),
///     })
/// };
/// let error = names.get_or_load("42", load).await.unwrap_err();
/// assert_eq!(error.kind(), tiered::ErrorKind::Authoritative);
/// assert!(error.cause::<Error>().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Authoritative(BoxError);

impl Authoritative {
    /// Marks this error.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }

    /// The error itself.
    pub fn into_inner(self) -> BoxError {
        self.0
    }
}

impl fmt::Display for Authoritative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source has said so for good")
    }
}

impl std::error::Error for Authoritative {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}
