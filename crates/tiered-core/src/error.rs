use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Any error, of any origin.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as one opaque, clonable type.
///
/// [`kind`](Error::kind) says what the caller can do about it; [`source`](std::error::Error::source) is the cause.
/// The message holds no value, key or password.
///
/// ```
/// use std::error::Error as _;
/// use tiered_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Unavailable, "redis does not answer").because("connection refused");
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// assert_eq!(error.to_string(), "redis does not answer");
/// assert_eq!(error.source().unwrap().to_string(), "connection refused");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<BoxError>,
}

/// What the caller of a failed operation can do.
///
/// ```
/// use tiered_core::{Error, ErrorKind};
///
/// fn is_worth_a_retry(error: &Error) -> bool {
///     matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
/// }
/// assert!(!is_worth_a_retry(&Error::new(ErrorKind::Config, "ttl is zero")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting, an address or a password is wrong: correct it.
    Config,
    /// The store cannot be reached, or refuses to work, at present: try again later.
    Unavailable,
    /// It did not come in time. Of a store: whether it did the work is not known. Of a read: its load goes on for those
    /// who come later.
    Timeout,
    /// The bytes cannot be stored: the value cannot be encoded, or is too large.
    Unstorable,
    /// The loader failed; the source is its own error.
    Loader,
    /// The loader panicked, and the source says with what; or other code of the user's did, such as a key's `Display`.
    Panicked,
    /// The source has no such value, and the loader's type has no room to say so.
    NotFound,
    /// The source has said for good that it gives nothing for this key: gone, forbidden. No older copy serves in its
    /// place; the source of the error is the loader's own.
    Authoritative,
    /// Too many loads run already: try again later, or allow more.
    Overloaded,
    /// The load ended without a result, because the runtime that it ran on was shut down.
    Aborted,
}

impl Error {
    /// An error without a cause. The message is lower case and names no key, value or secret.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(self, source: impl Into<BoxError>) -> Self {
        let Inner {
            kind, ref message, ..
        } = *self.0;
        Self(Arc::new(Inner {
            kind,
            message: message.clone(),
            source: Some(source.into()),
        }))
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The cause as the type it was, for example the error that a loader returned.
    ///
    /// ```
    /// use tiered_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Loader, "the loader failed").because(std::fmt::Error);
    /// assert!(error.cause::<std::fmt::Error>().is_some());
    /// ```
    pub fn cause<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.source.as_ref()?.downcast_ref()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            message,
            source,
        } = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("kind", kind).field("message", message);
        if let Some(source) = source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}
