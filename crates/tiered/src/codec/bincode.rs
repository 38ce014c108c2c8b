use bincode::config::{Config, standard};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use bincode::serde::{decode_from_slice, encode_into_writer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tiered_core::{BoxError, Codec};

/// The codec [bincode 2](https://docs.rs/bincode/2), through serde: compact and fast. The id is 1.
///
/// Its bytes do not describe themselves: whoever changes a type in a way that the bytes do not show must raise
/// [`Settings::schema`](crate::Settings::schema). Values of more than 64 MiB are not read.
///
/// Not for types that contain themselves, nor for sequences of nothing such as `Vec<()>`: damaged or hostile bytes can
/// nest the ones without end, and make the others as long as they like. The codecs JSON and `MessagePack` bound both.
///
/// ```
/// use tiered::{Bincode, Codec};
///
/// let mut bytes = Vec::new();
/// Bincode.encode(&("Ada".to_owned(), 36_u8), &mut bytes)?;
/// let (name, age): (String, u8) = Bincode.decode(&bytes)?;
/// assert_eq!((name.as_str(), age), ("Ada", 36));
/// # Ok::<(), tiered::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Bincode;

impl<V: Serialize + DeserializeOwned> Codec<V> for Bincode {
    fn id(&self) -> u8 {
        1
    }

    fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(encode_into_writer(value, Append(out), standard())?)
    }

    /// bincode allocates what a length prefix asks for before it looks how much there is. Its limit is a constant, and
    /// counts an integer at its full width, so it has to be sixteen times the bytes at hand, and here is up to 256 times.
    fn decode(&self, bytes: &[u8]) -> Result<V, BoxError> {
        match bytes.len() {
            0..=0x1_0000 => decode(bytes, standard().with_limit::<0x10_0000>()),
            0x1_0001..=0x10_0000 => decode(bytes, standard().with_limit::<0x100_0000>()),
            0x10_0001..=0x100_0000 => decode(bytes, standard().with_limit::<0x1000_0000>()),
            0x100_0001..=0x400_0000 => decode(bytes, standard().with_limit::<0x4000_0000>()),
            _ => Err("more than 64 MiB".into()),
        }
    }
}

fn decode<V: DeserializeOwned>(bytes: &[u8], config: impl Config) -> Result<V, BoxError> {
    match decode_from_slice(bytes, config)? {
        (value, read) if read == bytes.len() => Ok(value),
        _ => Err("bytes are left over".into()),
    }
}

struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
