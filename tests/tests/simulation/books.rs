use std::sync::atomic::AtomicU64;

/// What became of a node's loads, as it looks from outside.
#[derive(Default)]
pub(crate) struct Books {
    /// The server has said that it has stored the result.
    pub(crate) stored: AtomicU64,
    /// The server has not said whether it has.
    pub(crate) unsure: AtomicU64,
    /// The result is not to be stored: the loader or the settings say so.
    pub(crate) uncached: AtomicU64,
}
