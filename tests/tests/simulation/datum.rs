use tiered::{BoxError, Codec};

/// A row as a cache holds it: it says which state of the database it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datum {
    pub(crate) key: u8,
    /// The tags that it carries, one bit each.
    pub(crate) tags: u8,
    pub(crate) is_set: bool,
    /// The state of the row.
    pub(crate) version: u32,
    /// One for each load and set.
    pub(crate) id: u32,
}

/// The codec of a [`Datum`].
pub(crate) struct Plain;

impl Codec<Datum> for Plain {
    fn id(&self) -> u8 {
        200
    }

    fn encode(&self, datum: &Datum, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend([datum.key, datum.tags, u8::from(datum.is_set)]);
        out.extend(datum.version.to_le_bytes());
        out.extend(datum.id.to_le_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Datum, BoxError> {
        let bytes: &[u8; 11] = bytes.try_into()?;
        let number = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().unwrap());
        Ok(Datum {
            key: bytes[0],
            tags: bytes[1],
            is_set: bytes[2] != 0,
            version: number(3),
            id: number(7),
        })
    }
}
