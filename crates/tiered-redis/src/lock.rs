use bytes::Bytes;

/// The name of the lock of a record: the claim on a value, which the value itself has no room for.
///
/// It holds the version that was claimed and the token that has claimed it, and counts for a record of that version only;
/// a token of zeros says that nobody is to wait. So it need not be removed when the record changes.
///
/// It begins with `#`, which no namespace does. In a cluster it stands where its record stands: the part of a key that
/// decides is that between the first `{` and the next `}`, if it is not empty, or else the whole key. One case is left: a
/// key with a `}` but without such a part, as `users:a}b`, has its lock elsewhere.
pub(crate) fn of(key: &str) -> Bytes {
    if has_tag(key) {
        format!("#lock:{key}").into()
    } else {
        format!("#lock:{{{key}}}").into()
    }
}

fn has_tag(key: &str) -> bool {
    let after = key.split_once('{').map(|(_, after)| after);
    let tag = after.and_then(|after| after.split_once('}'));
    tag.is_some_and(|(tag, _)| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use fred::util::redis_keyslot;

    use super::*;

    #[test]
    fn a_lock_stands_where_its_record_stands() {
        for key in [
            "users:7",
            "users:{7}",
            "users:{7}:a}b",
            "users:a{b",
            "users:a}b{c}",
            "users:a{{b}",
        ] {
            let lock = of(key);
            assert!(lock.starts_with(b"#lock:"));
            assert_eq!(redis_keyslot(&lock), redis_keyslot(key.as_bytes()), "{key}");
        }
    }
}
