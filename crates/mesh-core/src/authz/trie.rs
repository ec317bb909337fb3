//! Beginnings of names, part by part.

use std::collections::HashMap;

/// Finds the beginnings of a name among many, in a time that depends on the longest of them and not on the
/// name: a caller chooses the name of a method.
#[derive(Debug)]
pub(super) struct Trie {
    separator: char,
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, u32>,
    /// The number of the beginning that ends here.
    value: Option<u32>,
}

impl Trie {
    pub(super) fn new(separator: char) -> Self {
        Self { separator, nodes: vec![Node::default()] }
    }

    /// The number of `beginning`: `value` unless it has one already.
    pub(super) fn insert(&mut self, beginning: &str, value: u32) -> u32 {
        let mut at = 0;
        for part in beginning.split(self.separator) {
            let next = self.nodes.len() as u32;
            at = *self.nodes[at as usize].children.entry(part.into()).or_insert(next);
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        *self.nodes[at as usize].value.get_or_insert(value)
    }

    /// Visits the numbers of all beginnings after which `name` goes on, with a separator and more.
    pub(super) fn visit(&self, name: &str, mut visit: impl FnMut(u32)) {
        let mut node = &self.nodes[0];
        let mut rest = name;
        while let Some((part, after)) = rest.split_once(self.separator) {
            let Some(child) = node.children.get(part) else { return };
            node = &self.nodes[*child as usize];
            if let Some(value) = node.value
                && !after.is_empty()
            {
                visit(value);
            }
            rest = after;
        }
    }
}
