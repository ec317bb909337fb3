//! The control socket: the way of the owner of this process to change something. It is a file in the key directory,
//! which no other user and no browser can reach.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, PermissionsExt},
        net::UnixListener as StdListener,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, extract::State, http::Response, routing::post};
use rustix::process::geteuid;
use tokio::{
    net::{UnixListener, UnixStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Source,
    connections::{Connections, PAUSE, talk},
    routes::{JSON, answer},
};

/// The directory of the sockets, in the key directory.
const DIRECTORY: &str = "control";
/// Connections at once.
const MAX_CONNECTIONS: usize = 8;
/// How long a change may take. A key of 4096 bits needs seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// A socket with its file, which the end of this value removes.
pub(super) struct Bound {
    listener: StdListener,
    file: File,
}

struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        // Nothing can be done about a file that stays; its readers find that nobody listens.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes the socket `name` for the owner of this process alone. Blocks.
pub(super) fn bind(keys: &Path, name: &str) -> io::Result<Bound> {
    let directory = keys.join(DIRECTORY);
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(&directory)?;
    if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
        let text = format!("{} must be a directory of this user, closed to others", directory.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    let path = directory.join(name);
    let listener = StdListener::bind(&path)?;
    let file = File(path);
    fs::set_permissions(&file.0, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(Bound { listener, file })
}

/// Answers on the socket until `stop`.
pub(super) async fn serve(bound: Bound, source: Arc<dyn Source>, stop: CancellationToken) {
    let Bound { listener, file: _file } = bound;
    let Ok(listener) = UnixListener::from_std(listener) else { return };
    let router = Router::new().route("/rotate-keys", post(rotate_keys)).with_state(source);
    let connections = Connections::new(MAX_CONNECTIONS);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if is_owner(&stream) => {
                tokio::spawn(talk(stream, router.clone(), connections.enter()));
            }
            Ok(_) => {}
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Whether the user of this process, or root, has connected.
fn is_owner(stream: &UnixStream) -> bool {
    let own = geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn rotate_keys(State(source): State<Arc<dyn Source>>) -> Response<Body> {
    use axum::http::StatusCode;
    match timeout(PATIENCE, source.rotate_key()).await {
        Ok(Some(Ok(done))) => answer(StatusCode::OK, JSON, done),
        Ok(Some(Err(fault))) => answer(StatusCode::CONFLICT, JSON, fault),
        _ => answer(StatusCode::SERVICE_UNAVAILABLE, JSON, "{}"),
    }
}
