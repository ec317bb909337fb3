//! The parts of `deny.toml` that matter most, checked without `cargo-deny`:
//! what must never be in the dependency graph, and where it may come from.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files should fail")]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// The lock file also names what no feature switches on, such as the `ring` of rustls-webpki, so the graph is asked.
#[test]
fn nothing_banned_is_built() {
    let banned = banned(&read("deny.toml"));
    assert!(banned.iter().any(|name| name == "ring"), "the list of bans was not read");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let options = ["--workspace", "--all-features", "--target=all", "--prefix=none", "--format={p}"];
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges=normal,build,dev", "--manifest-path"])
        .arg(manifest)
        .args(options)
        .output()
        .unwrap();
    let graph = String::from_utf8(tree.stdout).unwrap();
    let built: BTreeSet<_> = graph.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(built.len() > 100, "the graph was not read: {}", String::from_utf8_lossy(&tree.stderr));
    let found: Vec<_> = built.iter().filter(|name| banned.iter().any(|banned| banned == *name)).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn everything_comes_from_the_registry_or_this_workspace() {
    for package in locked(&read("Cargo.lock")) {
        let ours = ["mesh-core", "secure-stack-mesh", "xtask"].contains(&package.name.as_str());
        let wanted = (!ours).then_some("registry+https://github.com/rust-lang/crates.io-index");
        assert_eq!(package.source.as_deref(), wanted, "{}", package.name);
    }
}

/// RUSTSEC-2026-0258 (h2) and RUSTSEC-2023-0071 (rsa 0.9 and before, whose
/// private operations leak by their timing; ours are done by aws-lc-rs).
#[test]
fn versions_with_known_defects_are_not_locked() {
    for package in locked(&read("Cargo.lock")) {
        let floor = match package.name.as_str() {
            "h2" => (0, 4, 16),
            "rsa" => (0, 10, 0),
            _ => continue,
        };
        assert!(package.version >= floor, "{} {:?}", package.name, package.version);
    }
}

#[derive(Debug)]
struct Package {
    name: String,
    version: (u32, u32, u32),
    source: Option<String>,
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)).unwrap()
}

/// The names in `deny = [ { crate = "…" }, … ]` of `[bans]`.
fn banned(deny: &str) -> Vec<String> {
    let list = deny.split("\ndeny = [").nth(1).unwrap().split("\n]").next().unwrap();
    list.split("crate = \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

fn locked(lock: &str) -> Vec<Package> {
    let value = |block: &str, key: &str| {
        let start = format!("{key} = \"");
        block.lines().find_map(|line| Some(line.strip_prefix(&start)?.trim_end_matches('"').to_owned()))
    };
    let packages = lock.split("[[package]]").skip(1).map(|block| {
        let version = value(block, "version").unwrap();
        let mut numbers = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Package {
            name: value(block, "name").unwrap(),
            version: (next(), next(), next()),
            source: value(block, "source"),
        }
    });
    packages.collect()
}
