use serde::Serialize;
use serde::de::DeserializeOwned;
use tiered_core::{BoxError, Codec};

/// The codec [MessagePack](https://msgpack.org), through serde, with the names of fields: readable by other programs.
/// The id is 4.
///
/// ```
/// use tiered::{Codec, MessagePack};
///
/// let mut bytes = Vec::new();
/// MessagePack.encode(&("Ada".to_owned(), 36_u8), &mut bytes)?;
/// let (name, age): (String, u8) = MessagePack.decode(&bytes)?;
/// assert_eq!((name.as_str(), age), ("Ada", 36));
/// # Ok::<(), tiered::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagePack;

impl<V: Serialize + DeserializeOwned> Codec<V> for MessagePack {
    fn id(&self) -> u8 {
        4
    }

    fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(rmp_serde::encode::write_named(out, value)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, BoxError> {
        let mut rest = bytes;
        let value = V::deserialize(&mut rmp_serde::Deserializer::new(&mut rest))?;
        if rest.is_empty() {
            Ok(value)
        } else {
            Err("bytes are left over".into())
        }
    }
}
