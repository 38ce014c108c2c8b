use fred::error::{Error as Cause, ErrorKind as CauseKind};
use tiered_core::{Error, ErrorKind};

/// Why a command failed.
pub(crate) fn of_command(cause: &Cause) -> Error {
    let error = match (cause.kind(), reply(cause)) {
        (CauseKind::Timeout, _) => {
            return Error::new(ErrorKind::Timeout, "redis did not answer in time");
        }
        _ if *cause.kind() == CauseKind::Auth || lacks_rights(cause) => Error::new(
            ErrorKind::Config,
            "redis refuses the command to this user: check the user, its password and its rights",
        ),
        _ if is_full(cause) => {
            Error::new(ErrorKind::Unstorable, "redis has no room for the record")
        }
        (_, code) if is_code(code) => {
            Error::new(ErrorKind::Unavailable, "redis refuses the command")
        }
        _ => Error::new(ErrorKind::Unavailable, "the connection to redis was lost"),
    };
    error.because(cause.details())
}

/// Why the scripts cannot be used.
pub(crate) fn of_scripts(cause: &Cause) -> Error {
    without_rights(
        cause,
        "redis does not let this user run scripts: allow EVAL, EVALSHA and SCRIPT LOAD, and all keys that begin with `#`",
    )
}

/// Why the server does not tell its time.
pub(crate) fn of_time(cause: &Cause) -> Error {
    without_rights(cause, "redis does not tell this user its time: allow TIME")
}

/// Why nothing can be heard of what is published.
pub(crate) fn of_backplane(cause: &Cause) -> Error {
    without_rights(
        cause,
        "redis does not let this user publish and subscribe: allow HELLO, PUBLISH, SUBSCRIBE, UNSUBSCRIBE and PING, \
         and all channels that begin with `#bus:`; or switch the backplane off",
    )
}

/// Why nothing can be heard of which keys were touched.
pub(crate) fn of_tracking(cause: &Cause) -> Error {
    without_rights(
        cause,
        "redis does not let this user track keys: allow CLIENT TRACKING, or switch tracking off",
    )
}

/// What was published did not come back.
pub(crate) fn no_echo() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "redis does not pass on in time what is published: check for a proxy in between, or switch the backplane off",
    )
}

fn without_rights(cause: &Cause, what_to_allow: &'static str) -> Error {
    if is_not_for_us(cause) {
        return Error::new(ErrorKind::Config, what_to_allow).because(cause.details());
    }
    of_command(cause)
}

/// The server does not know the command, or does not let this user use it.
pub(crate) fn is_not_for_us(cause: &Cause) -> bool {
    lacks_rights(cause) || cause.details().contains("unknown command")
}

/// Why there is no connection to the server at `address`.
pub(crate) fn of_connecting(cause: &Cause, address: &str, password: Option<&str>) -> Error {
    let error = match complaint(cause) {
        Some((kind, text)) => Error::new(kind, format!("the server at {address} {text}")),
        None => no_answer(address),
    };
    match password {
        // A server without AUTH repeats the command in its complaint.
        Some(password) if cause.details().contains(password) => error,
        _ => error.because(cause.details()),
    }
}

fn complaint(cause: &Cause) -> Option<(ErrorKind, &'static str)> {
    use ErrorKind::{Config, Unavailable};
    let details = cause.details();
    Some(match (cause.kind(), reply(cause)) {
        (_, "NOAUTH") => (Config, "asks for a password: put it into the url"),
        (CauseKind::Auth, _) => (Config, "refuses the user or the password: check both"),
        (_, "NOPERM") => (Config, "gives the user too few rights: check its acl"),
        _ if details.contains("DB index") => {
            (Config, "has no such database: check the number in the url")
        }
        _ if details.contains("certificate") => (
            Config,
            "shows a certificate that is not trusted: check it and the host's name",
        ),
        (CauseKind::Protocol | CauseKind::Parse, _) => {
            (Unavailable, "is not redis: check the address")
        }
        (_, code) if is_code(code) => (Unavailable, "refuses to work at present"),
        _ => return None,
    })
}

/// Nothing answers at `address`.
pub(crate) fn no_answer(address: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("no redis answers at {address}: check that it runs and the address is right"),
    )
}

pub(crate) fn not_connected() -> Error {
    Error::new(ErrorKind::Unavailable, "redis is not connected")
}

pub(crate) fn too_many_waiting() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "too many commands wait for redis already",
    )
}

pub(crate) fn not_asked() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "not asked, for redis did not answer earlier keys of the batch in time",
    )
}

pub(crate) fn garbled() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "redis has answered something else than was asked",
    )
}

pub(crate) fn too_large() -> Error {
    Error::new(
        ErrorKind::Unstorable,
        "redis takes records up to 512 MiB only",
    )
}

pub(crate) fn no_runtime() -> Error {
    Error::new(
        ErrorKind::Config,
        "connect to redis within a tokio runtime: fred works on it",
    )
}

/// Something else than a string stands under the key.
pub(crate) fn is_wrong_type(cause: &Cause) -> bool {
    reply(cause) == "WRONGTYPE"
}

/// The server does not know the script that goes by this hash.
pub(crate) fn is_unknown_script(cause: &Cause) -> bool {
    reply(cause) == "NOSCRIPT"
}

/// Before Redis 7, a script wraps the error of its command into one of its own.
fn lacks_rights(cause: &Cause) -> bool {
    reply(cause) == "NOPERM" || cause.details().contains("user executing the script can't")
}

fn is_full(cause: &Cause) -> bool {
    cause.details().contains("OOM command not allowed")
}

/// The first word: a code where the server has answered with an error.
fn reply(cause: &Cause) -> &str {
    cause.details().split(' ').next().unwrap_or("")
}

fn is_code(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase())
}
