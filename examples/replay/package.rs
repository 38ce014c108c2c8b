use serde::{Deserialize, Serialize};

/// A package of the Debian archive: what the cache holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Package {
    #[serde(rename = "package")]
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) section: String,
    pub(crate) priority: String,
    pub(crate) maintainer: String,
    pub(crate) architecture: String,
    /// In KiB.
    pub(crate) installed_size: u32,
    /// Of the archive file, in bytes.
    pub(crate) size: u64,
    pub(crate) depends: Vec<String>,
    pub(crate) homepage: Option<String>,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    pub(crate) sha256: String,
}

impl Package {
    /// One made up, about as long and as repetitive as a real one.
    pub(crate) fn made_up(number: usize, rng: &mut fastrand::Rng) -> Self {
        let name = format!("{}-{}{number}", word(rng), word(rng));
        let (depends, tags) = (rng.usize(0..14), rng.usize(0..6));
        Self {
            version: format!("{}.{}-{}", rng.u8(0..9), rng.u8(0..30), rng.u8(1..5)),
            section: word(rng).to_owned(),
            priority: "optional".to_owned(),
            maintainer: format!("Debian {} Team", word(rng)),
            architecture: "amd64".to_owned(),
            installed_size: rng.u32(20..50_000),
            size: rng.u64(4_000..20_000_000),
            depends: (0..depends).map(|_| dependency(rng)).collect(),
            homepage: (rng.u8(0..10) > 0).then(|| format!("https://www.{name}.org/")),
            description: [(); 8].map(|()| word(rng)).join(" "),
            tags: (0..tags)
                .map(|_| format!("{}::{}", word(rng), word(rng)))
                .collect(),
            sha256: format!("{:032x}{:032x}", rng.u128(..), rng.u128(..)),
            name,
        }
    }
}

fn dependency(rng: &mut fastrand::Rng) -> String {
    format!("lib{}{} (>= {}.2)", word(rng), rng.u8(1..9), rng.u8(0..9))
}

fn word(rng: &mut fastrand::Rng) -> &'static str {
    rng.choice(WORDS).expect("there are words")
}

const WORDS: [&str; 24] = [
    "archive", "audio", "browser", "cache", "compiler", "daemon", "editor", "engine", "filter",
    "font", "game", "graph", "index", "kernel", "library", "manager", "network", "parser",
    "plugin", "proxy", "server", "shell", "table", "viewer",
];
