//! The Rust version that the workspace promises is one that its dependencies accept.

use std::process::Command;

use serde_json::Value;

#[test]
fn no_dependency_asks_for_a_newer_rust_than_is_promised() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--all-features",
            "--locked",
            "--manifest-path",
            manifest,
        ])
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let own = packages
        .iter()
        .find(|package| package["name"] == "tiered")
        .unwrap();
    let promised = version(&own["rust_version"]).unwrap();
    let newer = packages
        .iter()
        .filter(|package| version(&package["rust_version"]) > Some(promised));
    assert_eq!(
        newer
            .map(|package| package["name"].to_string())
            .collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}

/// `1.88.0` as `(1, 88)`.
fn version(text: &Value) -> Option<(u32, u32)> {
    let mut numbers = text.as_str()?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}
