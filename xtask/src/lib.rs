//! The project's own tasks. The only one so far is the generation of files from
//! `proto/` and from declarations in Rust: the table of errors, the options,
//! and the JavaScript side of the boundary.
//!
//! ```text
//! cargo run -p xtask -- codegen           write the generated files
//! cargo run -p xtask -- codegen --check   fail if they are not up to date
//! ```
//!
//! The output is committed, so that a build of the project needs neither
//! `protoc` nor this program.
//!
//! The program is a thin wrapper around a library, so that the examples in the
//! documentation are compiled with the same dependencies as the tests.

use std::{error::Error, fmt, fs, io, path::Path};

/// Appends formatted text to a string, which cannot fail.
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

// Sources of the core and of the addon that use only the standard library. A
// dependency on the crates would build them a second time.
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

/// The failure of a task.
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
        /// The error of the system.
        source: io::Error,
    },
    /// A TypeScript file does not declare an interface of the options.
    NoInterface {
        /// The file.
        file: String,
        /// The interface.
        name: String,
    },
    /// Files that do not match their sources.
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

/// Runs the task that the arguments name.
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

    /// A test, not a separate run of the program, which would build its
    /// dependencies again.
    #[test]
    fn generated_files_are_what_their_source_says() {
        if let Err(failure) = run(&["codegen", "--check"]) {
            panic!("{failure}");
        }
    }
}
