//! The key directory of a mesh, and its own key in it.

use crate::{
    config::{KeySource, MeshConfig, PrivateKey},
    crypto::{
        keystore::{KeyStore, read_key_file},
        rsa::KeyPair,
    },
    handshake::Succession,
    mesh::error::Error,
};

/// Opens the key directory. A mesh on a network in memory keeps its keys in
/// memory too, apart from those of the user.
pub(crate) fn open_store(config: &MeshConfig) -> Result<KeyStore, Error> {
    Ok(match (&config.network, &config.keys_dir) {
        (Some(_), _) => KeyStore::in_memory(),
        // Such a service may have no disk to which it can write.
        _ if config.needs_no_directory() => KeyStore::in_memory(),
        (None, Some(directory)) => KeyStore::open(directory)?,
        (None, None) => KeyStore::open(&KeyStore::default_dir(|name| std::env::var_os(name))?)?,
    })
}

/// This service's key.
pub(crate) struct OwnKey {
    pub(crate) key: KeyPair,
    /// Whether it was made just now.
    pub(crate) is_new: bool,
    /// The succession that the previous key has signed for it.
    pub(crate) succession: Option<Succession>,
}

/// The given key, or that of the key directory, which is made if there is none.
pub(crate) fn own_key(config: &MeshConfig, store: &KeyStore) -> Result<OwnKey, Error> {
    let given = |key| OwnKey { key, is_new: false, succession: None };
    let id = &config.service_id;
    match &config.private_key {
        Some(PrivateKey { option, source: KeySource::Pem(pem) }) => {
            KeyPair::from_pkcs8_pem(pem).map(given).map_err(|source| Error::OwnKey { option, source })
        }
        Some(PrivateKey { source: KeySource::File(path), .. }) => Ok(given(read_key_file(path)?)),
        None => {
            let is_new = store.load_key_pair(id)?.is_none();
            let key = store.key_pair(id, config.rsa_bits)?;
            let succession = match store.load_previous_key_pair(id)? {
                Some(former) if former.public_key() != key.public_key() => {
                    Some(Succession::new(id, &former, key.public_key())?)
                }
                _ => None,
            };
            Ok(OwnKey { key, is_new, succession })
        }
    }
}
