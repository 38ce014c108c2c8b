use serde::Serialize;
use serde::de::DeserializeOwned;
use tiered_core::{BoxError, Codec};

/// The codec [postcard](https://docs.rs/postcard), through serde: compact, with a stable, documented format. The
/// id is 2.
///
/// Its bytes do not describe themselves: whoever changes a type in a way that the bytes do not show must raise
/// [`Settings::schema`](crate::Settings::schema).
///
/// Not for types that contain themselves, nor for sequences of nothing such as `Vec<()>`: damaged or hostile bytes can
/// nest the ones without end, and make the others as long as they like. The codecs JSON and `MessagePack` bound both.
///
/// ```
/// use tiered::{Codec, Postcard};
///
/// let mut bytes = Vec::new();
/// Postcard.encode(&("Ada".to_owned(), 36_u8), &mut bytes)?;
/// let (name, age): (String, u8) = Postcard.decode(&bytes)?;
/// assert_eq!((name.as_str(), age), ("Ada", 36));
/// # Ok::<(), tiered::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard;

impl<V: Serialize + DeserializeOwned> Codec<V> for Postcard {
    fn id(&self) -> u8 {
        2
    }

    fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), BoxError> {
        postcard::to_io(value, out)?;
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, BoxError> {
        match postcard::take_from_bytes(bytes)? {
            (value, []) => Ok(value),
            _ => Err("bytes are left over".into()),
        }
    }
}
