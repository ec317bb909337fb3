//! The static files of the page, by their exact paths. Nothing else is served, so no path leads out of it.

/// The bytes and the content type of a file.
pub(super) type File = (&'static [u8], &'static str);

/// The files, which `npm run dashboard` builds from `dashboard/src`.
const FILES: &[(&str, File)] = &[
    ("/", (include_bytes!("../../../../dashboard/dist/index.html"), "text/html; charset=utf-8")),
    ("/app.js", (include_bytes!("../../../../dashboard/dist/app.js"), "text/javascript; charset=utf-8")),
    ("/app.css", (include_bytes!("../../../../dashboard/dist/app.css"), "text/css; charset=utf-8")),
];

/// The file at a path.
pub(super) fn file(path: &str) -> Option<File> {
    FILES.iter().find(|(at, _)| *at == path).map(|(_, file)| *file)
}
