/// Where the messages of a namespace go.
pub(crate) fn of(namespace: &str) -> String {
    format!("{PREFIX}{namespace}")
}

/// Whose messages these are.
pub(crate) fn namespace(channel: &str) -> Option<&str> {
    channel.strip_prefix(PREFIX)
}

const PREFIX: &str = "#bus:";
