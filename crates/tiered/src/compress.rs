//! Compression of payloads, with contexts that are made once a thread.

use std::ops::RangeInclusive;

use tiered_core::{Error, ErrorKind, Result};

use crate::rejection::Rejection;

/// With what payloads are compressed before they go to L2.
///
/// It is a matter of the writer alone: every cache reads what any of these has written, as far as it was built with
/// the feature.
///
/// ```
/// use tiered::Compression;
///
/// assert_eq!(Compression::default(), Compression::Zstd { level: 3 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Payloads are stored as they are.
    None,
    /// Zstandard (feature `zstd`).
    Zstd {
        /// From -7 (fast) to 19 (small); 3 is zstd's own default.
        level: i32,
    },
    /// LZ4 blocks (feature `lz4`): several times faster than zstd, and less small.
    Lz4,
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd { level: 3 }
    }
}

/// How a stored payload is compressed, as a frame says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    None = 0,
    Zstd = 1,
    Lz4 = 2,
}

impl Method {
    pub(crate) const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::None),
            1 => Some(Self::Zstd),
            2 => Some(Self::Lz4),
            _ => None,
        }
    }
}

const LEVELS: RangeInclusive<i32> = -7..=19;

impl Compression {
    pub(crate) fn check(self) -> Result<()> {
        let (is_built, feature) = match self {
            Self::None => return Ok(()),
            Self::Zstd { level } if !LEVELS.contains(&level) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "zstd's level must be from -7 to 19",
                ));
            }
            Self::Zstd { .. } => (zstd::IS_BUILT, "zstd"),
            Self::Lz4 => (lz4::IS_BUILT, "lz4"),
        };
        if is_built {
            return Ok(());
        }
        let message = format!(
            "the cache compresses with {feature}, but `tiered` was built without the feature `{feature}`: \
             switch it on, or set another `compression`"
        );
        Err(Error::new(ErrorKind::Config, message))
    }

    /// Appends `raw`, compressed, to `out`, and says how; [`Method::None`] if that was not possible.
    pub(crate) fn append(self, raw: &[u8], out: &mut Vec<u8>) -> Method {
        match self {
            Self::None => Method::None,
            Self::Zstd { level } => zstd::append(level, raw, out).unwrap_or(Method::None),
            Self::Lz4 => lz4::append(raw, out).unwrap_or(Method::None),
        }
    }
}

/// Unpacks `packed` into `out`, which it replaces. `length` is how long the result must be; nothing longer is ever
/// allocated.
pub(crate) fn unpack(
    method: Method,
    packed: &[u8],
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    out.clear();
    match method {
        Method::None => out.extend_from_slice(packed),
        Method::Zstd => zstd::unpack(packed, length, out)?,
        Method::Lz4 => lz4::unpack(packed, length, out)?,
    }
    if out.len() == length {
        Ok(())
    } else {
        Err(Rejection::Corrupt)
    }
}

#[cfg(feature = "zstd")]
mod zstd {
    use std::cell::RefCell;

    use zstd::bulk::{Compressor, Decompressor};
    use zstd::zstd_safe::compress_bound;

    use super::Method;
    use crate::rejection::Rejection;

    pub(super) const IS_BUILT: bool = true;

    thread_local! {
        static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }

    pub(super) fn append(level: i32, raw: &[u8], out: &mut Vec<u8>) -> Option<Method> {
        let begin = out.len();
        out.resize(begin + compress_bound(raw.len()), 0);
        let written = COMPRESSOR.with_borrow_mut(|held| {
            let (held_level, compressor) = match held {
                Some(held) => held,
                None => held.insert((level, Compressor::new(level).ok()?)),
            };
            if *held_level != level {
                compressor.set_compression_level(level).ok()?;
                *held_level = level;
            }
            compressor
                .compress_to_buffer(raw, out.get_mut(begin..)?)
                .ok()
        })?;
        out.truncate(begin + written);
        Some(Method::Zstd)
    }

    pub(super) fn unpack(packed: &[u8], length: usize, out: &mut Vec<u8>) -> Result<(), Rejection> {
        out.reserve(length);
        DECOMPRESSOR.with_borrow_mut(|held| {
            let decompressor = match held {
                Some(decompressor) => decompressor,
                None => held.insert(Decompressor::new().map_err(|_| Rejection::Corrupt)?),
            };
            let unpacked = decompressor.decompress_to_buffer(packed, out);
            unpacked.map(drop).map_err(|_| Rejection::Corrupt)
        })
    }
}

#[cfg(not(feature = "zstd"))]
mod zstd {
    use super::Method;
    use crate::rejection::Rejection;

    pub(super) const IS_BUILT: bool = false;

    pub(super) fn append(_: i32, _: &[u8], _: &mut Vec<u8>) -> Option<Method> {
        None
    }

    pub(super) fn unpack(_: &[u8], _: usize, _: &mut Vec<u8>) -> Result<(), Rejection> {
        Err(Rejection::Compression)
    }
}

#[cfg(feature = "lz4")]
mod lz4 {
    use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

    use super::Method;
    use crate::rejection::Rejection;

    pub(super) const IS_BUILT: bool = true;

    pub(super) fn append(raw: &[u8], out: &mut Vec<u8>) -> Option<Method> {
        let begin = out.len();
        out.resize(begin + get_maximum_output_size(raw.len()), 0);
        let written = compress_into(raw, out.get_mut(begin..)?).ok()?;
        out.truncate(begin + written);
        Some(Method::Lz4)
    }

    pub(super) fn unpack(packed: &[u8], length: usize, out: &mut Vec<u8>) -> Result<(), Rejection> {
        out.resize(length, 0);
        let written = decompress_into(packed, out).map_err(|_| Rejection::Corrupt)?;
        out.truncate(written);
        Ok(())
    }
}

#[cfg(not(feature = "lz4"))]
mod lz4 {
    use super::Method;
    use crate::rejection::Rejection;

    pub(super) const IS_BUILT: bool = false;

    pub(super) fn append(_: &[u8], _: &mut Vec<u8>) -> Option<Method> {
        None
    }

    pub(super) fn unpack(_: &[u8], _: usize, _: &mut Vec<u8>) -> Result<(), Rejection> {
        Err(Rejection::Compression)
    }
}
