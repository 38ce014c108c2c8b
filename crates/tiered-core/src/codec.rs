use crate::BoxError;

/// Turns values into bytes and back.
///
/// # Contract
///
/// - `decode` gives back an equal value for the bytes that `encode` has appended, on every machine, for as long as
///   the id stays the same. A format that changes takes a new id.
/// - The id is written beside the bytes; bytes of another id are never given to `decode`. Ids below 128 belong to
///   `tiered`; take yours from 128 on.
/// - `encode` appends to `out` and leaves what is there; after an error, what it has appended is thrown away.
/// - `decode` may meet any bytes at all. It answers with an error, never a panic, and takes no more memory than a
///   small multiple of their length; bytes left over are an error.
/// - Both are called on the caller's task, and must not block.
///
/// ```
/// use tiered_core::{BoxError, Codec};
///
/// #[derive(Debug)]
/// struct Utf8;
///
/// impl Codec<String> for Utf8 {
///     fn id(&self) -> u8 {
///         200
///     }
///     fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<(), BoxError> {
///         out.extend_from_slice(value.as_bytes());
///         Ok(())
///     }
///     fn decode(&self, bytes: &[u8]) -> Result<String, BoxError> {
///         Ok(std::str::from_utf8(bytes)?.to_owned())
///     }
/// }
/// ```
pub trait Codec<V>: Send + Sync + 'static {
    /// The id that tells this format from others.
    fn id(&self) -> u8;

    /// Appends the value's bytes to `out`.
    ///
    /// # Errors
    /// The value cannot be written in this format.
    fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), BoxError>;

    /// The value that these bytes stand for.
    ///
    /// # Errors
    /// They stand for none.
    fn decode(&self, bytes: &[u8]) -> Result<V, BoxError>;
}
