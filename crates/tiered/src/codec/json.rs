use serde::Serialize;
use serde::de::DeserializeOwned;
use tiered_core::{BoxError, Codec};

/// The codec JSON, through serde: readable by people and other programs. The id is 3.
///
/// ```
/// use tiered::{Codec, Json};
///
/// let mut bytes = Vec::new();
/// Json.encode(&("Ada".to_owned(), 36_u8), &mut bytes)?;
/// assert_eq!(bytes, br#"["Ada",36]"#);
/// # Ok::<(), tiered::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<V: Serialize + DeserializeOwned> Codec<V> for Json {
    fn id(&self) -> u8 {
        3
    }

    fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(serde_json::to_writer(out, value)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, BoxError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
