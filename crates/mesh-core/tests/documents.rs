//! The statements of the documents about the tests are true.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files should fail")]

use std::{
    fs,
    path::{Path, PathBuf},
};

fn crate_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn threat_model() -> String {
    fs::read_to_string(crate_root().join("../../docs/threat-model.md")).unwrap()
}

/// Whether there is a test of a name: a function of the crate, or a file with a title.
fn is_test() -> impl Fn(&str) -> bool {
    let code: String =
        ["src", "tests"].iter().flat_map(|folder| sources(crate_root().join(folder))).collect();
    move |name: &str| match name.split_once(": ") {
        Some((file, title)) => {
            let path = crate_root().join("../../__test__").join(file);
            fs::read_to_string(path).is_ok_and(|text| text.contains(title))
        }
        None => code.contains(&format!("fn {name}(")),
    }
}

/// The words in backticks of a cell.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_claim_of_the_threat_model_has_a_test_and_its_property_exists() {
    let (page, exists) = (threat_model(), is_test());
    let section = page.split("\n## ").find_map(|section| section.strip_prefix("Claims\n")).unwrap();
    let model: String = match fs::read_dir(crate_root().join("../../docs/model")) {
        Ok(files) => files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap_or_default()).collect(),
        Err(_) => String::new(),
    };
    let mut claims = 0;
    for row in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [claim, tests, property] = cells[..] else { panic!("{row}") };
        assert!(!names(tests).is_empty(), "{claim}: no test is named");
        for name in names(tests) {
            assert!(exists(name), "{claim}: no test {name}");
        }
        let queries = names(property);
        assert!(!queries.is_empty() || property == "none", "{claim}: {property} is no property");
        for query in queries {
            assert!(model.contains(query), "{claim}: no query {query} in docs/model");
        }
        claims += 1;
    }
    assert!(claims > 10, "the table was not read");
}

#[test]
fn every_test_the_threat_model_names_exists() {
    let (page, exists) = (threat_model(), is_test());
    let (mut threats, mut inputs) = (0, 0);
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (what, tests) = match cells[..] {
            [number, asset, _, _, _, tests] if asset.starts_with('A') => {
                threats += 1;
                (number, tests)
            }
            [input, _, tests] if tests.starts_with('`') => {
                inputs += 1;
                (input, tests)
            }
            _ => continue,
        };
        assert!(!names(tests).is_empty() || tests == "not yet", "{what}: no test is named");
        for name in names(tests) {
            assert!(exists(name), "{what}: no test {name}");
        }
    }
    assert!(threats > 30 && inputs > 30, "the tables were not read");
}

#[test]
fn every_reason_and_variable_of_the_readme_exists() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(crate_root.join("../../README.md")).unwrap();
    let options = fs::read_to_string(crate_root.join("../../docs/options.md")).unwrap();
    let config: String = sources(crate_root.join("src/config")).concat();

    let words = page.split('`').chain(options.split('`'));
    let variables: Vec<_> = words.filter(|word| word.starts_with("SECURE_MESH_")).collect();
    assert!(variables.len() > 5, "no variables were read");
    for variable in variables {
        assert!(config.contains(&format!("\"{variable}\"")), "{variable} is not read");
    }

    let table = page.split("| example reasons |").nth(1).unwrap().split("\n\n").next().unwrap();
    let reasons: Vec<_> = table.lines().filter_map(|row| row.rsplit('|').nth(1)).collect();
    let reasons: Vec<_> = reasons.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(reasons.len() > 10, "no reasons were read");
    for reason in reasons {
        let known = mesh_core::error::Reason::from_name(reason).is_some();
        assert!(known, "no reason {reason}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages: Vec<_> =
        ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md"].map(|name| root.join(name)).into();
    for folder in ["docs", "docs/decisions", "docs/guides", "examples/basic"] {
        let entries = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                let path = page.parent().unwrap().join(target);
                assert!(path.exists(), "{}: {link} leads nowhere", page.display());
            }
        }
    }
}

fn sources(folder: PathBuf) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(sources(path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    texts
}
