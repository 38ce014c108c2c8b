use bytes::Bytes;

use crate::Random;

/// Tells one record of a key from any other that was or will be under it: 64 random bits, chosen by the writer.
///
/// Versions are compared for equality, never ordered.
///
/// ```
/// use tiered_core::{Random, Version};
///
/// let random = Random::new();
/// assert_ne!(Version::random(&random), Version::random(&random));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(u64);

impl Version {
    /// A version that nothing else has.
    pub fn random(random: &Random) -> Self {
        Self(random.bits())
    }

    /// The version written as these bytes.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    /// The bytes that stand for this version in L2.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }
}

/// What L2 holds under a key: bytes, the first eight of which are the record's [`Version`].
///
/// The rest is the business of the cache. A store may meet records that no cache has written; their first eight
/// bytes are their version all the same.
///
/// ```
/// use tiered_core::{Record, Version};
///
/// let version = Version::from_bytes(*b"whatever");
/// let record = Record::new(b"whatever stands here".as_slice());
/// assert_eq!(record.version(), version);
/// assert_eq!(record.head().bytes().len(), 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(Bytes);

impl Record {
    /// How many of a record's first bytes are its head: enough to tell what it is without its payload.
    pub const HEAD: usize = 64;

    /// The record that consists of these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The version: the first eight bytes, filled up with zeros where there are fewer.
    pub fn version(&self) -> Version {
        let mut version = [0; 8];
        for (to, from) in version.iter_mut().zip(self.0.iter()) {
            *to = *from;
        }
        Version::from_bytes(version)
    }

    /// All bytes, the version included.
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes themselves.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The first [`Record::HEAD`] bytes, or all if there are fewer.
    #[must_use]
    pub fn head(&self) -> Self {
        Self(self.0.slice(..self.0.len().min(Self::HEAD)))
    }
}
