use fred::types::config::{Config, Server, ServerConfig};
use tiered_core::{Error, ErrorKind, Result};

/// What fred has to know to reach the server that `url` names. Takes nothing that fred would pass over in silence.
pub(crate) fn config(url: &str) -> Result<Config> {
    check_scheme(url)?;
    if url.contains(['?', '#']) {
        return Err(refused(
            "the redis url has a `?` or `#`: leave parameters out, percent-encode a password",
        ));
    }
    let mut config = Config::from_url_centralized(url).map_err(|_| {
        refused(
            "the redis url cannot be read: write redis://user:password@host:port/database, user and password \
             percent-encoded, the database a number below 256",
        )
    })?;
    if config.username.is_some() && config.password.is_none() {
        return Err(refused(
            "the redis url has a user without a password: fred would connect as nobody",
        ));
    }
    if let ServerConfig::Centralized { server } = &mut config.server {
        bare_ipv6(server);
    }
    Ok(config)
}

/// The one server that this is about, as `host:port`.
pub(crate) fn of(config: &Config) -> Result<String> {
    match &config.server {
        ServerConfig::Centralized { server } if server.host.contains(':') => {
            Ok(format!("[{}]:{}", server.host, server.port))
        }
        ServerConfig::Centralized { server } => Ok(format!("{}:{}", server.host, server.port)),
        _ => Err(refused(ONE_SERVER)),
    }
}

const HAS_TLS: bool = cfg!(feature = "tls");

const ONE_SERVER: &str =
    "redis clusters and sentinels are not supported yet: give the address of one server";

fn check_scheme(url: &str) -> Result<()> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => Ok(()),
        "rediss" | "valkeys" if HAS_TLS => Ok(()),
        "rediss" | "valkeys" => Err(refused(
            "the redis url asks for tls: switch on the feature `tls`",
        )),
        other if other.ends_with("-cluster") || other.ends_with("-sentinel") => {
            Err(refused(ONE_SERVER))
        }
        _ => Err(refused(
            "the redis url must begin with redis:// or rediss://",
        )),
    }
}

/// Takes the brackets off `[::1]`, which no resolver understands.
fn bare_ipv6(server: &mut Server) {
    let host = server.host.strip_prefix('[');
    if let Some(host) = host.and_then(|host| host.strip_suffix(']')) {
        server.host = host.to_owned().into();
    }
}

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message)
}
