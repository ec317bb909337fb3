//! The certificate, its key, the anchors and the lists, from files or from the Workload API. They are read at the
//! start, when the application asks, and when they change.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use zeroize::Zeroizing;

use crate::{
    config::{self, KeySource, Material},
    crypto::{keystore::read_secret_file, mac::sha256},
    id::ServiceId,
    identity::{Anchors, Credential, CrlPolicy, MaterialError},
    mesh::error::Error,
    providers::{
        files::{Contents, Watched},
        workload::{Followed, Wanted},
    },
};

/// The largest file of a key, in bytes.
const MAX_KEY: usize = 16 * 1024;
/// The largest chain or bundle of anchors, in bytes.
const MAX_CERTIFICATES: usize = 1024 * 1024;
/// The largest file of revocation lists, in bytes.
const MAX_LISTS: usize = 16 * 1024 * 1024;

/// The certificate, and the anchors and lists for the checks of peers.
pub(super) struct Given {
    pub(super) credential: Credential,
    pub(super) anchors: Arc<Anchors>,
    /// The hash of the anchors and lists.
    pub(super) trust: [u8; 32],
}

/// The source of new certificates.
pub(crate) enum Source {
    /// Files, and the option that names them.
    Files(&'static str, Watched),
    /// The Workload API.
    Workload(Followed),
}

impl Source {
    /// Waits for other contents, or another failure, than were delivered last. Dropping the future loses nothing.
    pub(crate) async fn changed(&mut self) -> Result<Contents, Error> {
        match self {
            Self::Files(option, watched) => {
                watched.changed().await.map_err(|source| Error::File { option, source })
            }
            Self::Workload(followed) => Ok(followed.changed().await?),
        }
    }
}

/// Tells which of several identities of the Workload API is this service's.
pub(crate) fn wanted(id: &ServiceId, config: &config::Certificate) -> Wanted {
    if let Some(template) = &config.template {
        let name = template.replacen("{service}", id.as_str(), 1);
        return Box::new(move |spiffe_id| spiffe_id == name);
    }
    let ending = format!("/{id}");
    Box::new(move |spiffe_id| spiffe_id.ends_with(&ending))
}

/// Watches the files that the options name. Returns their contents too, if all could be read; `None` if
/// the options name no file. Blocks.
pub(super) fn watch(config: &config::Certificate) -> Option<(Option<Contents>, Watched)> {
    // The key is watched too, because its change alone can complete a matching pair.
    if config.workload.is_some() {
        return None;
    }
    let paths: Vec<PathBuf> =
        public(config).map(|(material, _)| material).chain([&config.key]).filter_map(path).cloned().collect();
    if paths.is_empty() {
        return None;
    }
    let (first, watched) = Watched::new(paths, MAX_LISTS);
    Some((first.ok(), watched))
}

/// Reads the files that the options name. Files without a secret come from `contents`, if it has them. The
/// key is always read from its file, under the rules for its owner and mode. Blocks.
pub(super) fn read(config: &config::Certificate, contents: Option<&Contents>) -> Result<Given, Error> {
    if config.workload.is_some() {
        // The start waits for the first identity, so there is one.
        let parts = contents.map(Contents::files).unwrap_or_default();
        let [chain, key, anchors, lists] = parts else { return Err(Error::NoCertificate) };
        let given = make(config, chain, key, anchors, (!lists.is_empty()).then_some(lists));
        return given.map_err(Error::Delivered);
    }
    let mut delivered = contents.into_iter().flat_map(Contents::files);
    let mut files = Vec::with_capacity(3);
    for (material, most) in public(config) {
        let bytes = match path(material).and_then(|_| delivered.next()) {
            Some(bytes) => bytes.to_vec(),
            None => load(material, most)?,
        };
        if bytes.len() > most {
            let why = format!("has more than {most} bytes");
            return Err(MaterialError::Unusable { option: material.option, why }.into());
        }
        files.push(bytes);
    }
    let key = match &config.key.source {
        KeySource::Pem(pem) => Zeroizing::new(pem.as_bytes().to_vec()),
        KeySource::File(path) => read_secret_file(path, MAX_KEY)?,
    };
    let file = |at: usize| files.get(at).map(Vec::as_slice);
    Ok(make(config, file(0).unwrap_or_default(), &key, file(1).unwrap_or_default(), file(2))?)
}

fn make(
    config: &config::Certificate,
    chain: &[u8],
    key: &[u8],
    ca: &[u8],
    crl: Option<&[u8]>,
) -> Result<Given, MaterialError> {
    let policy = if config.crl_warns { CrlPolicy::Warn } else { CrlPolicy::Refuse };
    Ok(Given {
        credential: Credential::new(chain, key)?,
        anchors: Arc::new(Anchors::new(ca, crl, policy)?),
        trust: sha256(&[&sha256(&[ca]), crl.unwrap_or_default()]),
    })
}

/// The files without a secret, in the order of watching, with their largest sizes.
fn public(config: &config::Certificate) -> impl Iterator<Item = (&Material, usize)> {
    let lists = config.crl.as_ref().map(|crl| (crl, MAX_LISTS));
    [(&config.cert, MAX_CERTIFICATES), (&config.ca, MAX_CERTIFICATES)].into_iter().chain(lists)
}

fn path(material: &Material) -> Option<&PathBuf> {
    match &material.source {
        KeySource::Pem(_) => None,
        KeySource::File(path) => Some(path),
    }
}

/// Reads a file without a secret.
fn load(material: &Material, most: usize) -> Result<Vec<u8>, Error> {
    let path = match &material.source {
        KeySource::Pem(pem) => return Ok(pem.as_bytes().to_vec()),
        KeySource::File(path) => path,
    };
    let read = |path: &Path| {
        // A pipe would block, and has no size to check.
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read(path).map_err(|error| {
        let why = format!("cannot be read from {}: {error}", path.display());
        MaterialError::Unusable { option: material.option, why }.into()
    })
}
