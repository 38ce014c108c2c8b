use std::collections::HashMap;

use fred::clients::{Client, WithOptions};
use fred::interfaces::ConfigInterface;

/// What is wrong with how the server makes room, if anything.
pub(crate) async fn warning(client: &WithOptions<Client>) -> Option<String> {
    const UNKNOWN: &str = "the eviction policy could not be checked, for the server does not tell it: it should be \
                           allkeys-lru, allkeys-lfu or the like";
    let Some(policy) = setting(client, "maxmemory-policy").await else {
        return Some(UNKNOWN.to_owned());
    };
    match policy.as_str() {
        "volatile-ttl" => Some(
            "the eviction policy is volatile-ttl, which evicts claims first: when the server is full, nothing can be \
             stored; set maxmemory-policy to allkeys-lru or allkeys-lfu"
                .to_owned(),
        ),
        "noeviction" if setting(client, "maxmemory").await.as_deref() != Some("0") => Some(
            "the eviction policy is noeviction: when the server is full, writes fail; set maxmemory-policy to \
             allkeys-lru or allkeys-lfu"
                .to_owned(),
        ),
        _ => None,
    }
}

async fn setting(client: &WithOptions<Client>, name: &str) -> Option<String> {
    let settings = client.config_get::<HashMap<String, String>, _>(name).await;
    settings.ok()?.remove(name)
}
