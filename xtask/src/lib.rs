//! The project's own chores. So far one: files generated from `proto/` and from
//! declarations in Rust: the table of errors, the options, and JavaScript's side of
//! the boundary.
//!
//! ```text
//! cargo run -p xtask -- codegen           write the generated files
//! cargo run -p xtask -- codegen --check   fail when they are not up to date
//! ```
//!
//! The output is checked in, so that nobody who builds this project needs
//! `protoc` or this program.
//!
//! A library with a program in front of it: so examples in the documentation are
//! compiled with the dependencies that the tests were, and not with others.

use std::{error::Error, fmt, fs, io, path::Path};

/// Appends text to a string, which cannot fail.
macro_rules! put {
    ($out:expr, $($text:tt)+) => {{
        use std::fmt::Write as _;
        let _ = write!($out, $($text)+);
    }};
}

mod boundary;
mod codegen;
mod errors;
mod options;

// Sources of the core and of the addon that need nothing but the standard library:
// the crates themselves would be built a second time for this.
#[path = "../../crates/mesh-core/src"]
#[allow(dead_code, unreachable_pub, reason = "a part of another crate")]
mod core {
    pub(crate) mod error;
    #[path = "record/message/kinds.rs"]
    pub(crate) mod kinds;
}
#[path = "../../src"]
#[allow(dead_code, reason = "a part of another crate")]
mod addon {
    pub(crate) mod boundary;
}

const USAGE: &str = "usage: cargo run -p xtask -- codegen [--check]";

/// Why a chore was not done.
#[derive(Debug)]
pub enum Failure {
    /// The arguments are not those of [`USAGE`].
    Usage,
    /// The schema does not compile.
    Schema(Box<dyn Error>),
    /// A file could not be read or written.
    Io {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file of JavaScript does not declare an interface that the options are of.
    NoInterface {
        /// The file.
        file: String,
        /// The interface.
        name: String,
    },
    /// Files that differ from what their source says they should be.
    Stale(Vec<String>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage => f.write_str(USAGE),
            Self::Schema(source) => write!(f, "{source}"),
            Self::Io { path, source } => write!(f, "{path}: {source}"),
            Self::NoInterface { file, name } => write!(f, "{file} declares no interface {name}"),
            Self::Stale(paths) => {
                write!(
                    f,
                    "not what their source says: {}\nrun `cargo run -p xtask -- codegen` and commit the result",
                    paths.join(", ")
                )
            }
        }
    }
}

impl Error for Failure {}

impl Failure {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.display().to_string(), source }
    }
}

/// Does the chore that the arguments name.
///
/// # Errors
/// See [`Failure`].
pub fn run(arguments: &[&str]) -> Result<(), Failure> {
    // xtask lies directly below the workspace's root.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = match arguments {
        ["codegen"] | ["codegen", "--check"] => {
            let mut files = codegen::generate(&root)?;
            files.extend([boundary::generate(), errors::generate()]);
            files.extend(options::generate(&root)?);
            files
        }
        _ => return Err(Failure::Usage),
    };
    if arguments.contains(&"--check") { check(&root, &files) } else { write(&root, &files) }
}

fn write(root: &Path, files: &[codegen::Generated]) -> Result<(), Failure> {
    for file in files {
        let path = root.join(file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| Failure::io(folder, source))?;
        }
        fs::write(&path, &file.content).map_err(|source| Failure::io(&path, source))?;
    }
    Ok(())
}

fn check(root: &Path, files: &[codegen::Generated]) -> Result<(), Failure> {
    let mut stale = Vec::new();
    for file in files {
        let path = root.join(file.path);
        match fs::read(&path) {
            Ok(content) if content == file.content => {}
            Ok(_) => stale.push(file.path.to_owned()),
            Err(source) if source.kind() == io::ErrorKind::NotFound => stale.push(file.path.to_owned()),
            Err(source) => return Err(Failure::io(&path, source)),
        }
    }
    if stale.is_empty() { Ok(()) } else { Err(Failure::Stale(stale)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Here, and not a run of the program of its own, because that would build its dependencies once more.
    #[test]
    fn generated_files_are_what_their_source_says() {
        if let Err(failure) = run(&["codegen", "--check"]) {
            panic!("{failure}");
        }
    }
}
