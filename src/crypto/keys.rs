use std::{path::PathBuf, sync::Arc};

use mesh_core::{
    crypto::{
        keystore::{KeyStore, KeyStoreError},
        rsa::KeyPair,
    },
    id::ServiceId,
};
use napi::{Env, Result};
use napi_derive::napi;
use serde_json::Value;

use super::{DEFAULT_BITS, NativeKeyPair, key_pair, public_key};
use crate::{
    blocking::off_the_loop,
    convert::whole,
    error::{Failure, Settled, throw},
};

/// Returns the path of the key directory: the given one, or the default of this environment.
pub(super) fn directory(
    given: Option<String>,
    variables: &str,
) -> std::result::Result<PathBuf, KeyStoreError> {
    let variables: Value = serde_json::from_str(variables).unwrap_or_default();
    let variable = |name: &str| variables.get(name).and_then(Value::as_str).map(Into::into);
    given.map_or_else(|| KeyStore::default_dir(variable), |dir| Ok(PathBuf::from(dir)))
}

/// Key pairs in a directory.
#[napi]
pub struct NativeKeys {
    inner: Arc<Inner>,
}

struct Inner {
    keys_dir: Option<String>,
    variables: String,
    bits: Option<u32>,
}

#[napi]
impl NativeKeys {
    /// `variables` is a JSON object of the environment variables that determine the default directory.
    /// Without `keySize`, new keys have 4096 bits, and stored keys of any size are accepted. The constructor
    /// opens nothing.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, keys_dir: Option<String>, variables: String, key_size: Option<f64>) -> Result<Self> {
        let bits = key_size.map(|bits| whole(env, "keySize", bits)).transpose()?;
        Ok(Self { inner: Arc::new(Inner { keys_dir, variables, bits }) })
    }

    /// Generates a key pair without storing it.
    #[napi(catch_unwind)]
    pub fn generate(&self, env: Env) -> Result<NativeKeyPair> {
        self.inner.generate().map_err(|err| throw(env, err))
    }

    /// As `generate`, off the event loop.
    #[napi(ts_return_type = "Promise<NativeKeyPair>")]
    pub async fn generate_async(&self) -> Settled<NativeKeyPair> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || inner.generate()).await
    }

    /// Stores a pair, or another service's public key alone.
    #[napi(catch_unwind)]
    pub fn save(
        &self,
        env: Env,
        name: String,
        public_key: Option<String>,
        private_key: Option<String>,
    ) -> Result<()> {
        self.inner.save(&name, public_key.as_deref(), private_key.as_deref()).map_err(|err| throw(env, err))
    }

    /// As `save`, off the event loop.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn save_async(
        &self,
        name: String,
        public_key: Option<String>,
        private_key: Option<String>,
    ) -> Settled<()> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || inner.save(&name, public_key.as_deref(), private_key.as_deref())).await
    }

    /// Returns the stored pair; the private key is empty if only the public key is stored.
    #[napi(catch_unwind)]
    pub fn load(&self, env: Env, name: String) -> Result<Option<NativeKeyPair>> {
        self.inner.load(&name).map_err(|err| throw(env, err))
    }

    /// As `load`, off the event loop.
    #[napi(ts_return_type = "Promise<NativeKeyPair | null>")]
    pub async fn load_async(&self, name: String) -> Settled<Option<NativeKeyPair>> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || inner.load(&name)).await
    }

    /// Returns the stored pair, or generates and stores one.
    #[napi(catch_unwind)]
    pub fn get_or_create(&self, env: Env, name: String) -> Result<NativeKeyPair> {
        self.inner.get_or_create(&name).map_err(|err| throw(env, err))
    }

    /// As `getOrCreate`, off the event loop.
    #[napi(ts_return_type = "Promise<NativeKeyPair>")]
    pub async fn get_or_create_async(&self, name: String) -> Settled<NativeKeyPair> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || inner.get_or_create(&name)).await
    }
}

type Outcome<T> = std::result::Result<T, Failure>;

impl Inner {
    fn store(&self) -> Outcome<KeyStore> {
        Ok(KeyStore::open(&directory(self.keys_dir.clone(), &self.variables)?)?)
    }

    fn generate(&self) -> Outcome<NativeKeyPair> {
        Ok(NativeKeyPair::of(&KeyPair::generate(self.bits.unwrap_or(DEFAULT_BITS))?)?)
    }

    fn save(&self, name: &str, public: Option<&str>, private: Option<&str>) -> Outcome<()> {
        let id = name.parse::<ServiceId>()?;
        match (public, private) {
            (public, Some(private)) => {
                let pair = key_pair("keyPair", private, public)?;
                self.store()?.save_key_pair(&id, &pair)?;
            }
            (Some(public), None) => {
                let key = public_key("keyPair.publicKey", public)?;
                self.store()?.save_public_key(&id, &key)?;
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn load(&self, name: &str) -> Outcome<Option<NativeKeyPair>> {
        let id = name.parse::<ServiceId>()?;
        let store = self.store()?;
        if let Some(pair) = store.load_key_pair(&id)? {
            return Ok(Some(NativeKeyPair::of(&pair)?));
        }
        let public = store.load_public_key(&id)?;
        Ok(public.map(|key| NativeKeyPair { public_key: key.to_pem(), private_key: String::new() }))
    }

    fn get_or_create(&self, name: &str) -> Outcome<NativeKeyPair> {
        let id = name.parse::<ServiceId>()?;
        let store = self.store()?;
        let pair = match self.bits {
            Some(bits) => store.key_pair(&id, bits)?,
            None => store.any_key_pair(&id, DEFAULT_BITS)?,
        };
        Ok(NativeKeyPair::of(&pair)?)
    }
}
