use std::os::unix::fs::symlink;

use super::*;
use crate::crypto::keystore::tests::TempDir;

fn found(path: PathBuf) -> Vec<PathBuf> {
    places(&[path]).into_keys().collect()
}

#[test]
fn each_link_on_the_way_adds_its_directory() {
    let temp = TempDir::new();
    let root = fs::canonicalize(&temp.0).unwrap();
    fs::create_dir_all(root.join("releases/1")).unwrap();
    fs::create_dir(root.join("mount")).unwrap();
    fs::write(root.join("releases/1/policy.json"), "{}").unwrap();
    symlink("../releases/1", root.join("mount/..data")).unwrap();
    symlink("..data/policy.json", root.join("mount/policy.json")).unwrap();
    let expected = [root.join("mount"), root.join("releases/1")];
    assert_eq!(found(root.join("mount/policy.json")), expected);
    assert_eq!(found(root.join("mount/./../mount/policy.json")), expected);
}

#[test]
fn the_nearest_directory_stands_in_for_one_that_is_missing() {
    let temp = TempDir::new();
    let root = fs::canonicalize(&temp.0).unwrap();
    assert_eq!(found(root.join("a/b/policy.json")), std::slice::from_ref(&root));
    fs::create_dir(root.join("a")).unwrap();
    assert_eq!(found(root.join("a/b/policy.json")), [root.join("a")]);
}

#[test]
fn links_in_a_circle_come_to_an_end() {
    let temp = TempDir::new();
    let root = fs::canonicalize(&temp.0).unwrap();
    symlink("b", root.join("a")).unwrap();
    symlink("a", root.join("b")).unwrap();
    assert_eq!(found(root.join("a")), [root]);
}
