//! Which file imports which: a graph of the crate's files, read from their
//! paths. A name that a `mod.rs` only hands on counts as the file it comes from.

use std::collections::{BTreeMap, BTreeSet};

use super::{is_word, mentions, product, without_comments};

/// The files of a crate and what each imports, by their paths below `src`.
pub(super) type Graph = BTreeMap<String, BTreeSet<String>>;

/// A file, ready to be read.
struct Source {
    /// The modules that lead to it, as in `mesh`, `session`, `read`.
    module: Vec<String>,
    code: String,
    /// Names that it hands on, with the path each has.
    handed_on: BTreeMap<String, Vec<String>>,
    is_root_of_room: bool,
}

/// Reads the graph of `(path, text)`. Tests are not part of it.
pub(super) fn graph(files: &[(String, String)]) -> Graph {
    let sources: BTreeMap<&str, Source> = files
        .iter()
        .filter(|(path, _)| !path.split('/').any(|part| part.trim_end_matches(".rs") == "tests"))
        .map(|(path, text)| (path.as_str(), Source::read(path, text)))
        .collect();
    let by_module: BTreeMap<&[String], &str> =
        sources.iter().map(|(path, source)| (source.module.as_slice(), *path)).collect();
    let imports = |path: &str, source: &Source| {
        let paths = source.paths();
        let targets = paths.iter().filter_map(|named| target(named, &sources, &by_module, 0));
        targets.filter(|target| *target != path).map(str::to_owned).collect()
    };
    sources.iter().map(|(path, source)| ((*path).to_owned(), imports(path, source))).collect()
}

/// The files that import each other, directly or by way of others.
pub(super) fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reach = |from: &String| {
        let (mut found, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            for target in graph.get(file).into_iter().flatten() {
                if found.insert(target) {
                    next.push(target);
                }
            }
        }
        found
    };
    let reached: BTreeMap<_, _> = graph.keys().map(|file| (file, reach(file))).collect();
    let mut circles: Vec<Vec<String>> = Vec::new();
    for (file, others) in &reached {
        if !others.contains(file) || circles.iter().any(|circle| circle.contains(file)) {
            continue;
        }
        let both_ways =
            others.iter().filter(|other| reached.get(**other).is_some_and(|back| back.contains(file)));
        circles.push(both_ways.map(|other| (*other).clone()).collect());
    }
    circles
}

impl Source {
    fn read(path: &str, text: &str) -> Self {
        let mut module: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        let is_root_of_room = module.last().is_some_and(|name| name == "mod");
        if is_root_of_room || module == ["lib"] {
            module.pop();
        }
        let code = without_comments(text);
        let code = product(&code).to_owned();
        let mut source = Self { module, code, handed_on: BTreeMap::new(), is_root_of_room };
        source.handed_on = source.hands_on();
        source
    }

    /// The full paths that the code names: those of `use`, and those in place.
    fn paths(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let mut rest = String::new();
        for statement in statements(&self.code) {
            match statement {
                Statement::Use { public, tree } => {
                    for (path, name) in leaves(tree) {
                        // A name that is only handed on is not used here.
                        let only_handed_on =
                            public && self.is_root_of_room && !mentions(&without_uses(&self.code), &name);
                        if !only_handed_on {
                            found.extend(self.absolute(&path));
                        }
                    }
                }
                Statement::Other(code) => rest.push_str(code),
            }
        }
        if self.is_root_of_room {
            found.extend(self.children().filter(|child| mentions_module(&rest, child)).map(|child| {
                let mut path = self.module.clone();
                path.push(child.to_owned());
                path
            }));
        }
        for start in ["crate::", "super::", "self::"] {
            for (at, _) in rest.match_indices(start) {
                let before = &rest[..at];
                // A visibility is no import.
                let is_path =
                    !before.ends_with(is_word) && !before.ends_with("::") && !before.ends_with("(in ");
                if is_path {
                    let end = rest[at..].find(|c: char| !is_word(c) && c != ':').unwrap_or(rest.len() - at);
                    found.extend(self.absolute(&segments(&rest[at..at + end])));
                }
            }
        }
        found
    }

    /// The modules that it declares.
    fn children(&self) -> impl Iterator<Item = &str> {
        let lines = self.code.lines().filter_map(|line| line.trim().strip_suffix(';'));
        lines.filter_map(|line| line.split_once("mod ").map(|(_, name)| name))
    }

    fn hands_on(&self) -> BTreeMap<String, Vec<String>> {
        let uses = statements(&self.code).into_iter().filter_map(|statement| match statement {
            Statement::Use { public: true, tree } => Some(leaves(tree)),
            _ => None,
        });
        uses.flatten().filter_map(|(path, name)| Some((name, self.absolute(&path)?))).collect()
    }

    /// A path from the root of the crate; `None` if it leads to another crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = self.module.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while let Some(("super", further)) =
                    rest.split_first().map(|(first, rest)| (first.as_str(), rest))
                {
                    base.pop()?;
                    rest = further;
                }
            }
            _ => return None,
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }
}

/// The file that a full path leads to.
fn target<'a>(
    path: &[String],
    sources: &BTreeMap<&'a str, Source>,
    by_module: &BTreeMap<&[String], &'a str>,
    depth: usize,
) -> Option<&'a str> {
    let (length, file) =
        (1..=path.len()).rev().find_map(|length| Some((length, *by_module.get(&path[..length])?)))?;
    let handed_on = path.get(length).and_then(|name| sources.get(file)?.handed_on.get(name));
    match handed_on {
        // A name may be handed on more than once, and not in a circle.
        Some(further) if depth < 8 => target(further, sources, by_module, depth + 1).or(Some(file)),
        _ => Some(file),
    }
}

enum Statement<'a> {
    Use { public: bool, tree: &'a str },
    Other(&'a str),
}

/// The `use` declarations of `code`, and what is between them.
fn statements(code: &str) -> Vec<Statement<'_>> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some((at, public)) = next_use(rest) {
        let Some(end) = rest[at..].find(';') else { break };
        found.push(Statement::Other(&rest[..at]));
        found.push(Statement::Use { public, tree: &rest[at + "use ".len()..at + end] });
        rest = &rest[at + end..];
    }
    found.push(Statement::Other(rest));
    found
}

/// Where the next `use` declaration is, and whether it is public. The word
/// occurs in texts too, after others of the same line.
fn next_use(code: &str) -> Option<(usize, bool)> {
    code.match_indices("use ").find_map(|(at, _)| {
        let before = code[..at].trim_end_matches(' ');
        let line = before.rsplit(['\n', ';', '{', '}']).next().unwrap_or_default().trim();
        let public = line == "pub" || line.starts_with("pub(");
        (public || line.is_empty()).then_some((at, public))
    })
}

/// Whether `code` reaches into a module by its bare name.
fn mentions_module(code: &str, module: &str) -> bool {
    code.match_indices(&format!("{module}::"))
        .any(|(at, _)| !code[..at].ends_with(is_word) && !code[..at].ends_with("::"))
}

fn without_uses(code: &str) -> String {
    let others = statements(code).into_iter().filter_map(|statement| match statement {
        Statement::Other(code) => Some(code),
        Statement::Use { .. } => None,
    });
    others.collect()
}

/// The paths of a `use` tree, each with the name that it gets.
fn leaves(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    let Some((prefix, group)) = tree.split_once('{') else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
        let mut path = segments(path);
        // `a::{self}` names `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name =
            if name.is_empty() { path.last().cloned().unwrap_or_default() } else { name.trim().to_owned() };
        return if path.is_empty() { Vec::new() } else { vec![(path, name)] };
    };
    let group = group.trim_end().trim_end_matches('}');
    let mut parts = vec![String::new()];
    let mut level = 0;
    for c in group.chars() {
        match c {
            '{' => level += 1,
            '}' => level -= 1,
            ',' if level == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
        .iter()
        .filter(|part| !part.trim().is_empty())
        .flat_map(|part| leaves(&format!("{prefix}{}", part.trim())))
        .collect()
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}
