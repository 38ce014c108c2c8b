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
    /// A version that nothing else has. Its bits are never all zeros, nor all ones.
    pub fn random(random: &Random) -> Self {
        Self(random.bits().clamp(1, u64::MAX - 1))
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

/// What L2 holds under a key: bytes, the first eight of which are the record's [`Version`], and the ninth says what
/// [`Kind`] of record it is.
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

/// What a record is, by its ninth byte.
///
/// ```
/// use tiered_core::{Kind, Record, Version};
///
/// let (token, mark) = (Version::from_bytes(*b"whatever"), Version::from_bytes([7; 8]));
/// assert_eq!(Record::claim(token, mark).kind(), Kind::Claim);
/// assert_eq!(Record::new(b"whatever stands here".as_slice()).kind(), Kind::Foreign);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An entry.
    Value,
    /// An entry that is no longer fresh, whatever its own stamps say: somebody has expired it.
    Stale,
    /// A placeholder: somebody has the right to fill.
    Claim,
    /// A placeholder of a load that ended without anything to store: claims do not exclude each other, so that nobody
    /// waits for the next one who may have nothing either.
    Pass,
    /// Anything else.
    Foreign,
}

impl Kind {
    /// The ninth byte of an entry.
    pub const VALUE: u8 = 0xA1;
    /// The ninth byte of an entry that is no longer fresh.
    pub const STALE: u8 = 0xA2;
    /// The ninth byte of a claim, which is [`Record::PLACEHOLDER`] bytes long.
    pub const CLAIM: u8 = 0xC1;
    /// The ninth byte of a pass, which is [`Record::PLACEHOLDER`] bytes long.
    pub const PASS: u8 = 0xC2;
}

impl Record {
    /// How many of a record's first bytes are its head: enough to tell what it is without its payload.
    pub const HEAD: usize = 64;

    /// How long a placeholder is: its version, its kind, and the mark of the namespace as its writer knew it.
    pub const PLACEHOLDER: usize = 17;

    /// The record that consists of these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The placeholder of a claim under this token. `mark` is that of the namespace.
    pub fn claim(token: Version, mark: Version) -> Self {
        Self::placeholder(token, Kind::CLAIM, mark)
    }

    /// The placeholder that a claim under this token leaves if it is released with a pass.
    pub fn pass(token: Version, mark: Version) -> Self {
        Self::placeholder(token, Kind::PASS, mark)
    }

    fn placeholder(token: Version, kind: u8, mark: Version) -> Self {
        let mut bytes = Vec::with_capacity(Self::PLACEHOLDER);
        bytes.extend_from_slice(&token.to_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(&mark.to_bytes());
        Self::new(bytes)
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        let is_placeholder = self.0.len() == Self::PLACEHOLDER;
        match self.0.get(8) {
            Some(&Kind::VALUE) => Kind::Value,
            Some(&Kind::STALE) => Kind::Stale,
            Some(&Kind::CLAIM) if is_placeholder => Kind::Claim,
            Some(&Kind::PASS) if is_placeholder => Kind::Pass,
            _ => Kind::Foreign,
        }
    }

    /// The mark of the namespace that a placeholder carries; `None` if it is none.
    pub fn mark(&self) -> Option<Version> {
        match self.kind() {
            Kind::Claim | Kind::Pass => self.0.last_chunk().copied().map(Version::from_bytes),
            Kind::Value | Kind::Stale | Kind::Foreign => None,
        }
    }

    /// The same record under another version.
    #[must_use]
    pub fn with_version(&self, version: Version) -> Self {
        let mut bytes = self.0.to_vec();
        bytes.resize(bytes.len().max(8), 0);
        for (to, from) in bytes.iter_mut().zip(version.to_bytes()) {
            *to = from;
        }
        Self::new(bytes)
    }

    /// The same entry under another version, and no longer fresh; `None` if it is no entry.
    #[must_use]
    pub fn expired(&self, version: Version) -> Option<Self> {
        if !matches!(self.kind(), Kind::Value | Kind::Stale) {
            return None;
        }
        let mut bytes = self.0.to_vec();
        let head = version.to_bytes().into_iter().chain([Kind::STALE]);
        for (to, from) in bytes.iter_mut().zip(head) {
            *to = from;
        }
        Some(Self::new(bytes))
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
