//! Calls go down, never up: the layers of `ARCHITECTURE.md`, enforced.
//!
//! A plain text scan is enough: inside one crate a module is named by a path
//! that begins with `crate::`, or with so many `super::` that it reaches the
//! root. Comments do not count, so documentation may point anywhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own source should fail")]

#[path = "layering/files.rs"]
mod files;

use std::{
    fs,
    path::{Path, PathBuf},
};

use files::{circles, graph};

/// Modules by layer. Layer 0 shares a vocabulary, so its modules may use each
/// other; everywhere else a module sees the layers below it and itself.
const LAYERS: [&[&str]; 6] = [
    &["error", "id", "config", "clock", "duration", "json", "wire"],
    &["crypto"],
    &["auth", "authz", "balance", "budget", "discovery", "identity", "resilience", "telemetry"],
    &["handshake", "record"],
    &["transport", "providers", "admin"],
    &["mesh"],
];

/// The rooms of `mesh`, by storey: a room sees the storeys above it in this table
/// and itself. Those of the first storey are single files that may use each other.
const MESH: [&[&str]; 10] = [
    &[
        "chain",
        "error",
        "events",
        "gate",
        "lookout",
        "metadata",
        "own_calls",
        "platform",
        "reporter",
        "shelf",
        "sight",
        "stats",
        "sync",
        "throttle",
        "timers",
    ],
    &["shared"],
    &["session", "identity"],
    &["client", "server"],
    &["core"],
    &["build", "figures", "io"],
    &["report"],
    &["asking"],
    &["facts"],
    &["runtime"],
];

/// Above this a file is split by purpose.
const MAX_LINES: usize = 500;

/// The lowest layer that may know of sockets, tasks and gRPC.
const LOWEST_WITH_IO: usize = 4;

/// The crates by which a module would do its own input and output.
const IO: &[&str] = &[
    "axum",
    "hyper",
    "hyper_util",
    "notify",
    "tokio",
    "tokio_stream",
    "tokio_util",
    "tonic",
    "tonic_health",
    "tonic_prost",
    "tonic_reflection",
];

/// The things that a layer below [`LOWEST_WITH_IO`] gets as arguments.
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
fn no_files_import_each_other() {
    let graph = graph(&texts());
    assert!(graph.len() > 100 && graph.values().flatten().count() > 200, "the files were not read");
    let found = circles(&graph);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn rooms_of_the_mesh_import_from_above_only() {
    let found = upward(&texts());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn no_file_is_long() {
    let mut files = sources();
    files.extend(files_below("tests"));
    files.extend(files_below("benches"));
    let long = files.iter().filter(|(_, text)| text.lines().count() > MAX_LINES);
    let long: Vec<_> = long.map(|(path, _)| path.display().to_string()).collect();
    assert!(long.is_empty(), "{long:?} have more than {MAX_LINES} lines");
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

#[test]
fn the_page_has_the_rooms_of_the_mesh() {
    let page = fs::read_to_string(root().join("../../ARCHITECTURE.md")).unwrap();
    let section = page.split("## Inside `mesh`").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let rooms: Vec<Vec<_>> =
        rows.map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect()).collect();
    assert_eq!(rooms, MESH);
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

#[test]
fn a_circle_is_found() {
    let found = |files: &[(&str, &str)]| circles(&graph(&owned(files))).len();

    let one_way = [("mesh/a.rs", "use super::b::B;"), ("mesh/b.rs", "pub struct B;")];
    assert_eq!(found(&one_way), 0);
    let circle = [("mesh/a.rs", "use super::b::B;"), ("mesh/b.rs", "fn f() { crate::mesh::a::g() }")];
    assert_eq!(found(&circle), 1);
    let by_way_of_a_third = [
        ("mesh/a.rs", "use super::{b::B, c};"),
        ("mesh/b.rs", "use crate::mesh::{c::{self, C}};"),
        ("mesh/c.rs", "use super::a::A;"),
    ];
    assert_eq!(found(&by_way_of_a_third), 1);

    // A room's root that hands a name on does not use it; one that uses it does.
    let handed_on = [
        ("mesh/mod.rs", "mod a;\nmod b;\npub use self::a::A;\npub struct M;"),
        ("mesh/a.rs", "use super::M;"),
        ("mesh/b.rs", "use super::A;"),
    ];
    assert_eq!(found(&handed_on), 0);
    let used = [("mesh/mod.rs", "mod a;\npub use self::a::A;\npub struct M(A);"), handed_on[1]];
    assert_eq!(found(&used), 1);
    let by_name = [("mesh/mod.rs", "mod a;\npub struct M(a::A);"), handed_on[1]];
    assert_eq!(found(&by_name), 1);
    let to_where_it_comes_from = [handed_on[0], ("mesh/a.rs", "use super::b::B;"), handed_on[2]];
    assert_eq!(found(&to_where_it_comes_from), 1);

    let in_tests = [circle[0], ("mesh/b.rs", "#[cfg(test)]\nmod tests { use crate::mesh::a::A; }")];
    assert_eq!(found(&in_tests), 0);
}

#[test]
fn an_import_between_rooms_of_the_mesh_is_found() {
    let found = |path: &str, text: &str| {
        let rooms =
            ["mesh/client/calls.rs", "mesh/server/requests.rs", "mesh/session/run.rs", "mesh/core.rs"];
        let mut files: Vec<_> = rooms.iter().filter(|room| **room != path).map(|room| (*room, "")).collect();
        files.push((path, text));
        upward(&owned(&files)).len()
    };
    assert_eq!(found("mesh/client/calls.rs", "use crate::mesh::server::requests::Server;"), 1);
    assert_eq!(found("mesh/server/requests.rs", "use super::super::client::calls::Client;"), 1);
    assert_eq!(found("mesh/session/run.rs", "use crate::mesh::{client::calls::Client, core::Core};"), 2);
    assert_eq!(found("mesh/gossip/mod.rs", ""), 1, "a room without a storey");

    assert_eq!(found("mesh/core.rs", "use super::{client::calls::Client, server::requests::Server};"), 0);
    assert_eq!(found("mesh/client/calls.rs", "use crate::mesh::session::run::run;"), 0);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the crate, by its path below `src`, but for what a
/// program wrote.
fn sources() -> Vec<(PathBuf, String)> {
    files_below("src")
}

fn texts() -> Vec<(String, String)> {
    sources().into_iter().map(|(path, text)| (path.to_str().unwrap().to_owned(), text)).collect()
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// Imports of a room of the mesh that are not of a storey above its own.
fn upward(files: &[(String, String)]) -> Vec<String> {
    let room_of = |path: &str| {
        let below = path.strip_prefix("mesh/").filter(|below| *below != "mod.rs")?;
        below.split('/').next().map(|room| room.trim_end_matches(".rs").to_owned())
    };
    let storey_of = |room: &str| MESH.iter().position(|rooms| rooms.contains(&room));
    let mut found = Vec::new();
    for (path, targets) in graph(files) {
        let Some(room) = room_of(&path) else { continue };
        let Some(storey) = storey_of(&room) else {
            found.push(format!("{path}: `{room}` has no storey; give it one in tests/layering.rs"));
            continue;
        };
        for target in targets {
            let Some(other) = room_of(&target) else {
                if target == "mesh/mod.rs" {
                    found.push(format!("{path}: `{room}` uses the root of the mesh"));
                }
                continue;
            };
            let allowed = other == room
                || storey_of(&other).is_some_and(|above| above < storey || (above == 0 && storey == 0));
            if !allowed {
                found.push(format!("{path}: `{room}` uses `{other}`"));
            }
        }
    }
    found
}

fn files_below(folder: &str) -> Vec<(PathBuf, String)> {
    let src = root().join(folder);
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
        let product = product(&code);
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

/// The code without the tests at its end.
fn product(code: &str) -> &str {
    let tests = code.match_indices("#[cfg(test)]\nmod ").find(|(at, _)| {
        let declared = &code[*at..];
        declared.find('{').is_some_and(|open| declared.find(';').is_none_or(|end| open < end))
    });
    tests.map_or(code, |(at, _)| &code[..at])
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
