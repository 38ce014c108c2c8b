//! Messages between the nodes of a namespace, as text.
//!
//! ```text
//! tiered/1 3f2a9c00d1e4b765 17
//! set 8d1f03a2c4e6b795 42
//! removed 43
//! tag red
//! ```
//!
//! The first line names the sender and numbers its messages from 1, so that who hears the next one knows whether one was
//! missed; sender 0 is somebody who does not count. Each further line is an event. A key is the text that its `Display` writes,
//! with `\` as `\\` and a line feed as `\n`; a version is 16 hexadecimal digits, in the order of its bytes in L2.

use std::fmt::Write as _;

use tiered_core::{Tick, Version};

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// This key was set, and has this version now.
    Set(Version, String),
    /// This key was loaded, and has this version now.
    Filled(Version, String),
    /// This key was expired, and has this version now.
    Expired(Version, String),
    /// This key was removed.
    Removed(String),
    /// Who had the right to fill this key has given it back, and stored nothing.
    Freed(String),
    /// This tag was removed.
    Tag(String),
    /// The namespace was cleared.
    Cleared,
    /// More than there was room for.
    Everything,
    /// The sender is there, and its clock shows this.
    Ping(Tick),
    /// The sender says no more.
    Bye,
}

impl Event {
    /// Others may hold something older than this.
    pub(crate) fn is_change(&self) -> bool {
        !matches!(self, Self::Freed(_) | Self::Ping(_) | Self::Bye)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) sender: u64,
    pub(crate) number: u64,
    pub(crate) events: Vec<Event>,
}

const FORMAT: &str = "tiered/1";

impl Message {
    pub(crate) fn write(&self) -> String {
        let Self { sender, number, .. } = self;
        let mut text = format!("{FORMAT} {sender:016x} {number}");
        for event in &self.events {
            text.push('\n');
            event.write(&mut text);
        }
        text
    }

    /// `None`: it is not one of ours, or of a later version.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split('\n');
        let mut head = lines.next()?.split(' ');
        if head.next()? != FORMAT {
            return None;
        }
        let sender = u64::from_str_radix(head.next()?, 16).ok()?;
        let number = head.next()?.parse().ok()?;
        let events = lines.filter(|line| !line.is_empty()).map(Event::read);
        Some(Self {
            sender,
            number,
            events: events.collect::<Option<_>>()?,
        })
    }
}

impl Event {
    fn write(&self, text: &mut String) {
        let (verb, version, key) = match self {
            Self::Set(version, key) => ("set", Some(*version), Some(key)),
            Self::Filled(version, key) => ("filled", Some(*version), Some(key)),
            Self::Expired(version, key) => ("expired", Some(*version), Some(key)),
            Self::Removed(key) => ("removed", None, Some(key)),
            Self::Freed(key) => ("freed", None, Some(key)),
            Self::Tag(tag) => ("tag", None, Some(tag)),
            Self::Cleared => ("cleared", None, None),
            Self::Everything => ("everything", None, None),
            Self::Bye => ("bye", None, None),
            Self::Ping(at) => {
                // Writing into a string does not fail.
                let _ = write!(text, "ping {}", at.nanos());
                return;
            }
        };
        text.push_str(verb);
        if let Some(version) = version {
            let digits = u64::from_be_bytes(version.to_bytes());
            let _ = write!(text, " {digits:016x}");
        }
        if let Some(key) = key {
            text.push(' ');
            escape(key, text);
        }
    }

    fn read(line: &str) -> Option<Self> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(match verb {
            "removed" => Self::Removed(unescape(rest)?),
            "freed" => Self::Freed(unescape(rest)?),
            "tag" => Self::Tag(unescape(rest)?),
            "cleared" => Self::Cleared,
            "everything" => Self::Everything,
            "bye" => Self::Bye,
            "ping" => Self::Ping(Tick::from_nanos(rest.parse().ok()?)),
            _ => {
                let (digits, key) = rest.split_once(' ')?;
                let digits = u64::from_str_radix(digits, 16).ok()?;
                let (version, key) = (Version::from_bytes(digits.to_be_bytes()), unescape(key)?);
                match verb {
                    "set" => Self::Set(version, key),
                    "filled" => Self::Filled(version, key),
                    "expired" => Self::Expired(version, key),
                    _ => return None,
                }
            }
        })
    }
}

fn escape(key: &str, text: &mut String) {
    for letter in key.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut key = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        key.push(match letter {
            '\\' => match letters.next()? {
                '\\' => '\\',
                'n' => '\n',
                _ => return None,
            },
            other => other,
        });
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let version = Version::from_bytes([0, 1, 2, 3, 4, 5, 6, 255]);
        let keys = ["", "42", "a b", "a\nb\\n", "\\", "set 1 2", "🦀\r\n"];
        let events = keys.into_iter().map(str::to_owned).flat_map(|key| {
            [
                Event::Set(version, key.clone()),
                Event::Filled(version, key.clone()),
                Event::Expired(version, key.clone()),
                Event::Removed(key.clone()),
                Event::Freed(key.clone()),
                Event::Tag(key),
            ]
        });
        let others = [
            Event::Cleared,
            Event::Everything,
            Event::Ping(Tick::from_nanos(-7)),
            Event::Bye,
        ];
        let message = Message {
            sender: 0xfeed,
            number: 17,
            events: events.chain(others).collect(),
        };
        assert_eq!(Message::read(message.write().as_bytes()), Some(message));
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        for text in [
            "",
            "tiered/2 1 1",
            "tiered/1",
            "tiered/1 x 1",
            "tiered/1 1 x",
            "tiered/1 1 1\nset 1",
            "tiered/1 1 1\nset zz a",
            "tiered/1 1 1\nrenamed a",
            "tiered/1 1 1\nremoved a\\x",
        ] {
            assert_eq!(Message::read(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Message::read(b"\xff"), None);
    }

    #[test]
    fn a_version_reads_as_its_bytes_in_l2_do() {
        let version = Version::from_bytes([0x8d, 0x1f, 0x03, 0xa2, 0xc4, 0xe6, 0xb7, 0x95]);
        let events = vec![Event::Set(version, "42".to_owned())];
        let message = Message {
            sender: 1,
            number: 2,
            events,
        };
        let text = "tiered/1 0000000000000001 2\nset 8d1f03a2c4e6b795 42";
        assert_eq!(message.write(), text);
    }
}
