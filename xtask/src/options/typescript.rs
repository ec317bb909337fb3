//! The members of a TypeScript interface with their documentation.

/// A member of an interface.
pub(crate) struct Member {
    pub(crate) name: String,
    /// The documentation in one line, without the default.
    pub(crate) doc: String,
    pub(crate) default: String,
    /// The type, in one line.
    pub(crate) ty: String,
    /// The members of the type, if it is an object.
    pub(crate) inner: Vec<Member>,
}

/// Returns the members of an interface in `file`; `None` if the file does not declare it.
pub(crate) fn interface(file: &str, name: &str) -> Option<Vec<Member>> {
    let start = file.find(&format!("export interface {name} "))?;
    let open = start + file[start..].find('{')?;
    Some(members(braced(&file[open..])?))
}

/// Returns the text between the brace at the start of `text` and its counterpart.
fn braced(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(1..at);
        }
    }
    None
}

fn members(mut body: &str) -> Vec<Member> {
    let mut found = Vec::new();
    loop {
        body = body.trim_start();
        let mut doc = String::new();
        if let Some(rest) = body.strip_prefix("/**") {
            let Some((comment, rest)) = rest.split_once("*/") else { return found };
            doc = plain(comment);
            body = rest.trim_start();
        }
        let Some(end) = end_of_member(body) else { return found };
        let (member, rest) = body.split_at(end);
        body = rest.get(1..).unwrap_or_default();
        let Some((name, ty)) = member.split_once(':') else { return found };
        let inner = ty.find('{').and_then(|open| braced(&ty[open..])).map(members).unwrap_or_default();
        let (doc, default) = without_default(&doc);
        found.push(Member {
            name: name.trim().trim_end_matches('?').to_owned(),
            doc,
            default,
            ty: ty.split_whitespace().collect::<Vec<_>>().join(" "),
            inner,
        });
    }
}

/// Finds the semicolon of a member.
fn end_of_member(body: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, character) in body.char_indices() {
        match character {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            ';' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// Converts a comment to one line, with its links as code.
fn plain(comment: &str) -> String {
    let lines = comment.lines().map(|line| line.trim().trim_start_matches('*').trim());
    let mut text = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    while let Some((before, rest)) = text.split_once("{@link ") {
        let Some((name, after)) = rest.split_once('}') else { break };
        text = format!("{before}`{name}`{after}");
    }
    text
}

/// Splits a comment into its text and its `Default: …`.
pub(crate) fn without_default(doc: &str) -> (String, String) {
    let Some((before, rest)) = doc.split_once("Default: ") else { return (doc.to_owned(), String::new()) };
    let (default, after) = rest.split_once(". ").unwrap_or((rest, ""));
    let text = [before.trim(), after.trim()].join(" ").trim().to_owned();
    (text, default.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
/** Settings. */
export interface Settings extends Other {
  /** A link to {@link Name}; `{ more }`. Default: 0.25. It is a share. */
  share?: number | undefined;
  /**
   * Two lines
   * of text. Default: `'10m'`.
   */
  inner?: {
    /** Whether. */
    enabled: boolean;
  };
  told?: ((error: Error) => void) | undefined;
}
";

    #[test]
    fn an_interface_is_read_with_its_defaults() {
        let members = interface(FILE, "Settings").unwrap_or_default();
        let facts: Vec<_> =
            members.iter().map(|one| (one.name.as_str(), one.doc.as_str(), one.default.as_str())).collect();
        assert_eq!(
            facts,
            [
                ("share", "A link to `Name`; `{ more }`. It is a share.", "0.25"),
                ("inner", "Two lines of text.", "`'10m'`"),
                ("told", "", ""),
            ]
        );
        assert!(members[1].inner.len() == 1 && members[1].inner[0].name == "enabled");
        assert!(interface(FILE, "Setting").is_none());
    }
}
