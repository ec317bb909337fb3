//! Calls go down, never up: the layers of `ARCHITECTURE.md`, enforced.
//!
//! A plain text scan is enough: inside one crate a module is named by a path
//! that begins with `crate::`, or with so many `super::` that it reaches the
//! root. Comments do not count, so documentation may point anywhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own source should fail")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Modules by layer. Layer 0 shares a vocabulary, so its modules may use each
/// other; everywhere else a module sees the layers below it and itself.
const LAYERS: [&[&str]; 6] = [
    &["error", "id", "config", "clock", "duration", "wire"],
    &["crypto"],
    &["auth", "discovery", "resilience", "telemetry"],
    &["handshake", "record"],
    &["transport"],
    &["mesh"],
];

/// The lowest layer that may know of sockets, tasks and gRPC.
const LOWEST_WITH_IO: usize = 4;

/// What betrays a module that does its own input and output.
const IO: &[&str] =
    &["tokio", "tokio_stream", "tokio_util", "tonic", "tonic_health", "tonic_prost", "tonic_reflection"];

/// What a layer below [`LOWEST_WITH_IO`] is handed instead of asking for it.
/// (`SystemTime::now` and `Instant::now` are refused by `clippy.toml`.)
const ASKED_FOR: &[&str] = &[
    "Timestamp::now",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "thread::spawn",
    "thread::sleep",
];

#[test]
fn calls_go_down_never_up() {
    let found: Vec<_> = sources().iter().flat_map(|(path, text)| violations(path, text)).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_page_says_the_same() {
    let page = fs::read_to_string(root().join("../../ARCHITECTURE.md")).unwrap();
    for (layer, modules) in LAYERS.iter().enumerate() {
        let start = format!("| {layer} |");
        let row = page.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for layer {layer}"));
        let cell = row.split('|').nth(2).unwrap();
        let named: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
        assert_eq!(&named, modules, "layer {layer} in ARCHITECTURE.md");
    }
}

/// A check that finds nothing proves nothing until it has found something.
#[test]
fn an_upward_import_is_found() {
    let found = |path: &str, text: &str| violations(Path::new(path), text).len();

    assert_eq!(found("crypto/aead.rs", "use crate::mesh::Mesh;"), 1);
    assert_eq!(found("crypto.rs", "use super::mesh::Mesh;"), 1);
    assert_eq!(found("crypto/aead.rs", "fn f() { super::super::auth::g() }"), 1);
    assert_eq!(found("auth/issue.rs", "use crate::discovery::Registry;"), 1);
    assert_eq!(
        found("record/mod.rs", "use crate::{\n    crypto::{AeadKey, mac},\n    transport::Server,\n};"),
        1
    );
    assert_eq!(found("handshake/mod.rs", "let x = crate::transport::generated::Frame { data };"), 1);
    assert_eq!(found("handshake/mod.rs", "use tokio::sync::mpsc;"), 1);
    assert_eq!(found("discovery/registry.rs", "let now = Timestamp::now();"), 1);
    assert_eq!(found("gossip/mod.rs", "pub fn f() {}"), 1, "a module without a layer");

    assert_eq!(found("mesh/mod.rs", "use crate::{auth, crypto::kdf, error::{Code, Coded}, transport};"), 0);
    assert_eq!(found("transport/client.rs", "use tokio::sync::mpsc; use crate::record::Opener;"), 0);
    assert_eq!(found("config.rs", "use crate::id::ServiceId;"), 0);
    assert_eq!(found("auth/verify.rs", "use crate::auth::claims::Claims; use super::claims;"), 0);
    assert_eq!(found("auth.rs", "mod tests { use super::*; }"), 0);
    assert_eq!(found("crypto/aead.rs", "//! See [`crate::mesh`].\n/* crate::mesh */ fn f() {}"), 0);
    assert_eq!(
        found("discovery/registry.rs", "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { Timestamp::now(); } }"),
        0
    );
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the crate, by its path below `src`, but for what a
/// program wrote.
fn sources() -> Vec<(PathBuf, String)> {
    let src = root().join("src");
    let mut folders = vec![src.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "generated") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push((path.strip_prefix(&src).unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn violations(path: &Path, text: &str) -> Vec<String> {
    let names: Vec<_> = path.iter().map(|part| part.to_str().unwrap().trim_end_matches(".rs")).collect();
    let own = names[0];
    if own == "lib" {
        return Vec::new();
    }
    let Some(layer) = layer_of(own) else {
        return vec![format!("{}: `{own}` has no layer; give it one in tests/layering.rs", path.display())];
    };
    let depth = names.iter().filter(|name| **name != "mod").count();

    let code = without_comments(text);
    let mut found = Vec::new();
    for module in modules_named(&code, depth) {
        let allowed = module == own
            || layer_of(&module).is_none_or(|other| other < layer || (other == 0 && layer == 0));
        if !allowed {
            found.push(format!("{}: `{own}` (layer {layer}) uses `{module}`", path.display()));
        }
    }
    if layer < LOWEST_WITH_IO {
        let product = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        // The clock is where the others' time comes from.
        let product = if names.contains(&"tests") || own == "clock" { "" } else { product };
        let io = IO.iter().filter(|name| mentions(&code, name)).map(|name| (name, "does no I/O"));
        let asked =
            ASKED_FOR.iter().filter(|name| mentions(product, name)).map(|name| (name, "is handed it"));
        for (name, why) in io.chain(asked) {
            found.push(format!("{}: `{name}` in layer {layer}, which {why}", path.display()));
        }
    }
    found
}

/// Line and block comments become a space; strings stay, which is harmless.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//").into_iter().chain(rest.find("/*")).min() {
        code.push_str(&rest[..at]);
        code.push(' ');
        let (end, skip) = if rest[at..].starts_with("//") { ("\n", 0) } else { ("*/", 2) };
        rest = rest[at..].find(end).map_or("", |found| &rest[at + found + skip..]);
    }
    code + rest
}

/// The top-level modules that `code`, in a file `depth` modules deep, names.
fn modules_named(code: &str, depth: usize) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if !code[..at].ends_with(is_word) {
            named.extend(heads(&code[at + "crate::".len()..]));
        }
    }
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &code[at..];
        let mut up = 0;
        while let Some(further) = rest.strip_prefix("super::") {
            rest = further;
            up += 1;
        }
        if up >= depth {
            named.extend(heads(rest));
        }
    }
    named
}

/// The first names of a path: one, or each of a group in braces.
fn heads(path: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| is_word(*c)).collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![word(path)] };
    let mut found = vec![word(group.trim_start())];
    let mut level = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 0 => break,
            '}' => level -= 1,
            ',' if level == 0 => found.push(word(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `code` uses `path`, and not merely a longer word.
fn mentions(code: &str, path: &str) -> bool {
    code.match_indices(path)
        .any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + path.len()..].starts_with(is_word))
}
