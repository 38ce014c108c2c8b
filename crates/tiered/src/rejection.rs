/// Why bytes found in L2 were not believed. A rejected record is a miss, and is counted by its reason.
///
/// ```
/// use tiered::Rejection;
///
/// assert_eq!(Rejection::ALL.len(), 10);
/// assert_eq!(Rejection::Corrupt.as_str(), "corrupt");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// Not a frame of ours: something else writes under these keys.
    Foreign,
    /// A frame of a format that this version does not know.
    Format,
    /// A frame that was written for another key, or before the namespace was cleared.
    Key,
    /// A value one of whose tags was removed since it was made, or is not known not to have been.
    Invalidated,
    /// A value of another schema version.
    Schema,
    /// Written by another codec than this cache has.
    Codec,
    /// Compressed with what this build was made without.
    Compression,
    /// The checksum does not fit, or the compressed bytes do not unpack to what they say.
    Corrupt,
    /// Longer than the cache's limits, as stored or unpacked.
    TooLarge,
    /// The codec does not accept the payload.
    Decode,
}

impl Rejection {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Foreign,
        Self::Format,
        Self::Key,
        Self::Invalidated,
        Self::Schema,
        Self::Codec,
        Self::Compression,
        Self::Corrupt,
        Self::TooLarge,
        Self::Decode,
    ];

    /// A short name, good as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Format => "format",
            Self::Key => "key",
            Self::Invalidated => "invalidated",
            Self::Schema => "schema",
            Self::Codec => "codec",
            Self::Compression => "compression",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "too_large",
            Self::Decode => "decode",
        }
    }
}
