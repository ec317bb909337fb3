use std::sync::{Arc, Mutex, PoisonError};

use mesh_core::{
    crypto::{
        aead::AesKeySize,
        envelope::{self, Envelope, LegacyEnvelope},
        keyring::KeyRing,
        keystore::KeyStore,
        mac::MacKey,
        rsa::{KeyPair, SignatureDomain},
        secret::fill_random,
    },
    error::{Code, Reason},
    id::ServiceId,
};
use napi::{
    Env, Result,
    bindgen_prelude::{Buffer, spawn_blocking},
};
use napi_derive::napi;

use super::{DEFAULT_BITS, NativeKeyPair, key_pair, keys::directory, public_key, slot::Slot};
use crate::{
    blocking::off_the_loop,
    convert::{exact, whole},
    error::{Failure, Settled, throw},
};

/// An envelope; the format is in `docs/envelope.md`.
#[napi(object)]
pub struct NativeEnvelope {
    /// The format's version.
    pub version: f64,
    /// Base64.
    pub encrypted_data: String,
    /// Base64.
    pub encrypted_key: String,
    /// Base64.
    pub iv: String,
    /// Base64.
    pub auth_tag: String,
    /// Hexadecimal.
    pub hmac: String,
    /// Base64.
    pub signature: String,
}

impl From<Envelope> for NativeEnvelope {
    fn from(envelope: Envelope) -> Self {
        let Envelope { version, encrypted_data, encrypted_key, iv, auth_tag, hmac, signature } = envelope;
        let version = version.into();
        Self { version, encrypted_data, encrypted_key, iv, auth_tag, hmac, signature }
    }
}

impl TryFrom<NativeEnvelope> for Envelope {
    type Error = Failure;

    fn try_from(envelope: NativeEnvelope) -> Outcome<Self> {
        let NativeEnvelope { version, encrypted_data, encrypted_key, iv, auth_tag, hmac, signature } =
            envelope;
        let version = exact(version).ok_or_else(|| {
            let text = format!("encrypted.version must be a version of the format, got {version}");
            Failure::new(Code::InvalidArgument, Reason::EnvelopeFormat, text)
        })?;
        Ok(Self { version, encrypted_data, encrypted_key, iv, auth_tag, hmac, signature })
    }
}

impl From<NativeEnvelope> for LegacyEnvelope {
    fn from(envelope: NativeEnvelope) -> Self {
        let NativeEnvelope { encrypted_data, encrypted_key, iv, auth_tag, hmac, .. } = envelope;
        Self { encrypted_data, encrypted_key, iv, auth_tag, hmac }
    }
}

/// A service's keys and their operations. Before `begin` or `importKeyPair`
/// there are no keys; while they are generated, every method waits for them.
/// The caller must not change a buffer that it passes to an asynchronous
/// method.
#[napi]
pub struct NativeCrypto {
    inner: Arc<Inner>,
}

struct Inner {
    rsa_bits: Option<u32>,
    aes: AesKeySize,
    slot: Slot,
    /// Serialises replacements of the key. The lock is held while a key is
    /// generated and stored, so that two rotations cannot both replace the same
    /// key.
    replacing: Mutex<()>,
}

#[napi]
impl NativeCrypto {
    /// Sizes in bits. The default of `rsaKeySize` is 4096, or the size of the
    /// stored key.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, rsa_key_size: Option<f64>, aes_key_size: f64) -> Result<Self> {
        let rsa_bits = rsa_key_size.map(|bits| whole(env, "rsaKeySize", bits)).transpose()?;
        let aes = exact(aes_key_size).and_then(AesKeySize::from_bits).ok_or_else(|| {
            let text = format!("aesKeySize must be 128, 192 or 256, got {aes_key_size}");
            throw(env, Failure::new(Code::InvalidArgument, Reason::Config, text))
        })?;
        let inner = Inner { rsa_bits, aes, slot: Slot::default(), replacing: Mutex::new(()) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Begins to generate the keys off the event loop: in memory, or, for a
    /// service id, in the key directory. `false` if they exist or have been
    /// begun.
    #[napi(catch_unwind)]
    pub fn begin(
        &self,
        env: Env,
        service_id: Option<String>,
        keys_dir: Option<String>,
        variables: String,
    ) -> Result<bool> {
        let id = service_id.map(|id| id.parse::<ServiceId>()).transpose().map_err(|err| throw(env, err))?;
        if !self.inner.slot.announce() {
            return Ok(false);
        }
        let inner = Arc::clone(&self.inner);
        drop(spawn_blocking(move || {
            inner.slot.fill(|| match id {
                Some(id) => {
                    let store = KeyStore::open(&directory(keys_dir, &variables)?)?;
                    KeyRing::stored(store, id, inner.rsa_bits)
                }
                None => Ok(KeyRing::in_memory(KeyPair::generate(inner.rsa_bits.unwrap_or(DEFAULT_BITS))?)),
            });
        }));
        Ok(true)
    }

    /// Resolves when the keys exist.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn ready(&self) -> Settled<()> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || inner.ring().map(drop)).await
    }

    /// The current public key, PEM.
    #[napi(catch_unwind)]
    pub fn public_key(&self, env: Env) -> Result<String> {
        let ring = self.inner.ring().map_err(|err| throw(env, err))?;
        Ok(ring.current().public_key().to_pem())
    }

    /// The current public key's thumbprint (RFC 7638).
    #[napi(catch_unwind)]
    pub fn thumbprint(&self, env: Env) -> Result<String> {
        let ring = self.inner.ring().map_err(|err| throw(env, err))?;
        Ok(ring.current().public_key().thumbprint().to_string())
    }

    /// Seals `data` to a public key.
    #[napi(catch_unwind)]
    pub fn encrypt(&self, env: Env, data: &[u8], recipient: String) -> Result<NativeEnvelope> {
        self.inner.encrypt(data, &recipient).map_err(|err| throw(env, err))
    }

    /// As `encrypt`, off the event loop.
    #[napi(ts_return_type = "Promise<NativeEnvelope>")]
    pub async fn encrypt_async(&self, data: Buffer, recipient: String) -> Settled<NativeEnvelope> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || inner.encrypt(&data, &recipient)).await
    }

    /// Opens an envelope, of 0.2.0 if `legacy`.
    #[napi(catch_unwind)]
    pub fn decrypt(
        &self,
        env: Env,
        envelope: NativeEnvelope,
        sender: Option<String>,
        legacy: bool,
    ) -> Result<Buffer> {
        let opened = self.inner.decrypt(envelope, sender.as_deref(), legacy);
        opened.map(Into::into).map_err(|err| throw(env, err))
    }

    /// As `decrypt`, off the event loop.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub async fn decrypt_async(
        &self,
        envelope: NativeEnvelope,
        sender: Option<String>,
        legacy: bool,
    ) -> Settled<Buffer> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || inner.decrypt(envelope, sender.as_deref(), legacy).map(Buffer::from)).await
    }

    /// Encrypts a few bytes with RSA-OAEP-SHA256.
    #[napi(catch_unwind)]
    pub fn wrap(&self, env: Env, data: &[u8], recipient: String) -> Result<Buffer> {
        wrap(data, &recipient).map_err(|err| throw(env, err))
    }

    /// As `wrap`, off the event loop.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub async fn wrap_async(&self, data: Buffer, recipient: String) -> Settled<Buffer> {
        off_the_loop(move || wrap(&data, &recipient)).await
    }

    /// Decrypts an output of `wrap`.
    #[napi(catch_unwind)]
    pub fn unwrap(&self, env: Env, ciphertext: &[u8]) -> Result<Buffer> {
        self.inner.unwrap(ciphertext).map_err(|err| throw(env, err))
    }

    /// As `unwrap`, off the event loop.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub async fn unwrap_async(&self, ciphertext: Buffer) -> Settled<Buffer> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || inner.unwrap(&ciphertext)).await
    }

    /// Signs with RSASSA-PSS.
    #[napi(catch_unwind)]
    pub fn sign(&self, env: Env, data: &[u8]) -> Result<Buffer> {
        self.inner.sign(data).map_err(|err| throw(env, err))
    }

    /// As `sign`, off the event loop.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub async fn sign_async(&self, data: Buffer) -> Settled<Buffer> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || inner.sign(&data)).await
    }

    /// Whether the owner of `publicKey` made `signature` over `data`.
    #[napi(catch_unwind)]
    pub fn verify(&self, env: Env, data: &[u8], signature: &[u8], public_key: String) -> Result<bool> {
        verify(data, signature, &public_key).map_err(|err| throw(env, err))
    }

    /// As `verify`, off the event loop.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub async fn verify_async(&self, data: Buffer, signature: Buffer, public_key: String) -> Settled<bool> {
        off_the_loop(move || verify(&data, &signature, &public_key)).await
    }

    /// HMAC-SHA256.
    #[napi(catch_unwind)]
    pub fn hmac(&self, data: &[u8], key: &[u8]) -> Buffer {
        MacKey::new(key).sign(&[data]).to_vec().into()
    }

    /// Whether `mac` is the full HMAC-SHA256, compared in constant time.
    #[napi(catch_unwind)]
    pub fn verify_hmac(&self, data: &[u8], mac: &[u8], key: &[u8]) -> bool {
        MacKey::new(key).verify(&[data], mac)
    }

    /// A fresh AES key of the configured size.
    #[napi(catch_unwind)]
    pub fn generate_session_key(&self, env: Env) -> Result<Buffer> {
        let mut key = vec![0; self.inner.aes.bytes()];
        fill_random(&mut key).map_err(|err| throw(env, err))?;
        Ok(key.into())
    }

    /// The current key pair, PEM.
    #[napi(catch_unwind)]
    pub fn export_key_pair(&self, env: Env) -> Result<NativeKeyPair> {
        let ring = self.inner.ring().map_err(|err| throw(env, err))?;
        NativeKeyPair::of(ring.current()).map_err(|err| throw(env, err))
    }

    /// Makes the given pair the current one.
    #[napi(catch_unwind)]
    pub fn import_key_pair(&self, env: Env, private_key: String, public_key: Option<String>) -> Result<()> {
        let import = || {
            let pair = key_pair("keyPair", &private_key, public_key.as_deref())?;
            self.inner.replace(true, || Ok(pair)).map(drop)
        };
        import().map_err(|err| throw(env, err))
    }

    /// Makes a fresh pair the current one, off the event loop; returns its
    /// public key.
    #[napi(ts_return_type = "Promise<string>")]
    pub async fn rotate(&self) -> Settled<String> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let bits = inner.ring()?.current().public_key().bits();
            // An imported key may have a size that `generate` does not support.
            let bits = inner.rsa_bits.unwrap_or(if bits > 3072 { 4096 } else { bits.next_multiple_of(1024) });
            inner.replace(false, || Ok(KeyPair::generate(bits)?))
        })
        .await
    }
}

type Outcome<T> = std::result::Result<T, Failure>;

impl Inner {
    fn ring(&self) -> Outcome<Arc<KeyRing>> {
        self.slot.wait()?.ok_or_else(|| {
            let text = "the CryptoManager has no key yet: call `await crypto.initialize()` first";
            Failure::new(Code::FailedPrecondition, Reason::NotInitialized, text)
        })
    }

    fn replace(&self, may_be_first: bool, make: impl FnOnce() -> Outcome<KeyPair>) -> Outcome<String> {
        let _one_at_a_time = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        // The lock covers the whole replacement: two concurrent ones would both succeed the same ring, and
        // one key would be lost.
        let previous = if may_be_first { self.slot.wait()? } else { Some(self.ring()?) };
        let pair = make()?;
        let public_key = pair.public_key().to_pem();
        self.slot.set(match previous {
            Some(ring) => ring.succeeded_by(pair)?,
            None => KeyRing::in_memory(pair),
        });
        Ok(public_key)
    }

    fn encrypt(&self, data: &[u8], recipient: &str) -> Outcome<NativeEnvelope> {
        let ring = self.ring()?;
        let recipient = public_key("recipientPublicKey", recipient)?;
        Ok(envelope::seal(data, &recipient, ring.current(), self.aes)?.into())
    }

    fn decrypt(&self, envelope: NativeEnvelope, sender: Option<&str>, legacy: bool) -> Outcome<Vec<u8>> {
        let ring = self.ring()?;
        if legacy {
            return Ok(ring.open_legacy(&envelope.into())?);
        }
        let sender = sender.map(|pem| public_key("senderPublicKey", pem)).transpose()?;
        Ok(ring.open(&envelope.try_into()?, sender.as_ref())?)
    }

    fn unwrap(&self, ciphertext: &[u8]) -> Outcome<Buffer> {
        Ok(self.ring()?.oaep_decrypt(ciphertext, b"")?.into_vec().into())
    }

    fn sign(&self, data: &[u8]) -> Outcome<Buffer> {
        Ok(self.ring()?.current().pss_sign(SignatureDomain::Data, data)?.into())
    }
}

fn wrap(data: &[u8], recipient: &str) -> Outcome<Buffer> {
    Ok(public_key("publicKey", recipient)?.oaep_encrypt(data, b"")?.into())
}

fn verify(data: &[u8], signature: &[u8], key: &str) -> Outcome<bool> {
    Ok(public_key("publicKey", key)?.pss_verify(SignatureDomain::Data, data, signature))
}
