use std::fmt::Write;
use std::time::Duration;

use tiered_examples::{Address, Failure, Moment};
use tokio::time::sleep;

use crate::ground::NAMESPACE;
use crate::keys::Zipf;
use crate::traffic::KEYS;

/// Puts what is no cache's under keys of the caches, some thousand times a second.
pub(crate) async fn litter(redis: &Address, end: Moment) -> Result<(), Failure> {
    let keys = Zipf::new(KEYS);
    while Moment::now() < end {
        let pieces: Vec<_> = (0..50).flat_map(|_| piece(keys.draw())).collect();
        redis.order(&pieces).await?;
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The orders that put one piece there.
fn piece(key: u32) -> Vec<String> {
    let (name, junk) = (format!("{NAMESPACE}:{key}"), junk());
    let order = match fastrand::u8(..7) {
        0 => format!("RPUSH {name} {junk}"),
        1 => format!("HSET {name} field {junk}"),
        2 => format!("SADD {name} {junk}"),
        3 => format!("SET {name} \"\""),
        4 => format!("SET {name} {junk} PX 1000"),
        // Nothing but this one spoils what is a record: it is left in place.
        5 => {
            let at = fastrand::u8(..100);
            let spoil = "if redis.call('TYPE', KEYS[1]).ok == 'string' then redis.call('SETRANGE', KEYS[1], ARGV[1], ARGV[2]) end";
            return vec![format!("EVAL \"{spoil}\" 1 {name} {at} {junk}")];
        }
        _ => format!("SET {name} {junk}"),
    };
    // At once, or a cache's record could come in between.
    let together = ["MULTI", &format!("DEL {name}"), &order, "EXEC"];
    together.map(str::to_owned).to_vec()
}

/// Some bytes, as they can be typed.
fn junk() -> String {
    let length = fastrand::usize(1..200);
    let mut typed = String::from("\"");
    for _ in 0..length {
        // Writing into a string does not fail.
        let _ = write!(typed, "\\x{:02x}", fastrand::u8(..));
    }
    typed + "\""
}
