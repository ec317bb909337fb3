//! The static files of the page, by their exact paths. Nothing else is served, so no path leads out of it.

/// The bytes and the content type of a file.
pub(super) type File = (&'static [u8], &'static str);

/// The files.
const FILES: &[(&str, File)] = &[];

const WITHOUT: File = (
    b"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>SecureStack Mesh</title>\
      <p>This build has no page. The data is at <a href=\"/api/v1/self\">/api/v1/self</a>.</p></html>",
    "text/html; charset=utf-8",
);

/// The file at a path.
pub(super) fn file(path: &str) -> Option<File> {
    let found = FILES.iter().find(|(at, _)| *at == path).map(|(_, file)| *file);
    found.or_else(|| (path == "/").then_some(WITHOUT))
}
