//! HKDF-SHA256 (RFC 5869), expanded with labels as TLS 1.3 does
//! (HKDF-Expand-Label, RFC 8446 section 7.1), under the prefix `"ssm "`.

use std::fmt;

use hkdf::{Hkdf, HkdfExtract};
use sha2::Sha256;
use zeroize::Zeroize;

use super::{
    CryptoError,
    secret::{Secret, wipe_stack},
};

const LABEL_PREFIX: &[u8] = b"ssm ";
const MAX_OUTPUT: usize = 255 * 32;

/// A pseudorandom key: the output of HKDF-Extract, the input of HKDF-Expand.
#[derive(Clone)]
pub struct Prk {
    key: Secret<32>,
    expander: Hkdf<Sha256>,
}

impl Prk {
    /// HKDF-Extract over the concatenation of the parts of `ikm`.
    ///
    /// The parts must have fixed lengths, since nothing separates them.
    #[must_use]
    pub fn extract(salt: &[u8], ikm: &[&[u8]]) -> Self {
        let prk = Self::compute(salt, ikm);
        wipe_stack();
        prk
    }

    #[inline(never)]
    fn compute(salt: &[u8], ikm: &[&[u8]]) -> Self {
        let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
        for part in ikm {
            extract.input_ikm(part);
        }
        let (mut prk, expander) = extract.finalize();
        let key = Secret::fill_with(|out| out.copy_from_slice(&prk));
        prk.as_mut_slice().zeroize();
        Self { key, expander }
    }

    /// Takes an output of [`Prk::expand_secret`], such as a traffic secret of
    /// RFC 8446.
    #[must_use]
    pub fn from_secret(key: Secret<32>) -> Self {
        // The library rejects only a key shorter than the hash, and this key is
        // as long as the hash.
        let expander = Hkdf::from_prk(key.as_bytes()).unwrap_or_else(|_| Hkdf::new(None, key.as_bytes()));
        Self { key, expander }
    }

    /// The key itself, for use as the salt of the next stage.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// HKDF-Expand-Label: fills `out` with bytes bound to `label`, `context`
    /// and the length of `out`.
    ///
    /// # Panics
    /// If `label` has more than 251 bytes, `context` more than 255, or `out`
    /// more than 8160. The callers pass constants.
    pub fn expand(&self, label: &str, context: &[u8], out: &mut [u8]) {
        self.compute_labelled(label, context, out);
        wipe_stack();
    }

    #[inline(never)]
    fn compute_labelled(&self, label: &str, context: &[u8], out: &mut [u8]) {
        assert!(label.len() <= 251 && context.len() <= 255 && out.len() <= MAX_OUTPUT, "HKDF label too long");
        // The assertion above makes the narrowing casts lossless.
        let length = (out.len() as u16).to_be_bytes();
        let label_length = [(LABEL_PREFIX.len() + label.len()) as u8];
        let context_length = [context.len() as u8];
        let info: [&[u8]; 6] =
            [&length, &label_length, LABEL_PREFIX, label.as_bytes(), &context_length, context];
        let expanded = self.expander.expand_multi_info(&info, out);
        assert!(expanded.is_ok(), "HKDF output too long");
    }

    /// [`expand`](Self::expand) into a secret of `N` bytes.
    ///
    /// # Panics
    /// As [`expand`](Self::expand).
    #[must_use]
    pub fn expand_secret<const N: usize>(&self, label: &str, context: &[u8]) -> Secret<N> {
        Secret::fill_with(|out| self.expand(label, context, out))
    }

    /// HKDF-Expand with unmodified `info`.
    ///
    /// # Errors
    /// [`CryptoError::TooLong`] for more than 8160 bytes.
    pub fn expand_info(&self, info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        let too_long = CryptoError::TooLong { len: out.len(), max: MAX_OUTPUT };
        self.expander.expand(info, out).map_err(|_| too_long)
    }
}

impl fmt::Debug for Prk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prk(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_rfc_5869_test_case_1() {
        let salt = hex::decode("000102030405060708090a0b0c").unwrap();
        let prk = Prk::extract(&salt, &[&[0x0b; 10], &[0x0b; 12]]);
        assert_eq!(
            hex::encode(prk.as_bytes()),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
        );
        let mut okm = [0; 42];
        prk.expand_info(&hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap(), &mut okm).unwrap();
        assert_eq!(
            hex::encode(okm),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
    }

    #[test]
    fn a_label_is_length_prefixed_info() {
        let prk = Prk::extract(b"salt", &[b"secret"]);
        let (mut labelled, mut plain) = ([0; 16], [0; 16]);
        prk.expand("key", b"ctx", &mut labelled);
        prk.expand_info(b"\x00\x10\x07ssm key\x03ctx", &mut plain).unwrap();
        assert_eq!(labelled, plain);
    }

    #[test]
    fn label_context_and_length_all_matter() {
        let prk = Prk::extract(b"", &[b"secret"]);
        let base = prk.expand_secret::<32>("key", b"ctx");
        assert_ne!(base, prk.expand_secret::<32>("iv", b"ctx"));
        assert_ne!(base, prk.expand_secret::<32>("key", b""));
        assert_ne!(base, prk.expand_secret::<32>("keyc", b"tx"));
        assert!(!prk.expand_secret::<16>("key", b"ctx").ct_eq(&base.as_bytes()[..16]));
    }

    #[test]
    fn more_than_255_blocks_are_refused() {
        let prk = Prk::extract(b"", &[b"secret"]);
        let err = prk.expand_info(b"", &mut vec![0; 8161]).unwrap_err();
        assert_eq!(err, CryptoError::TooLong { len: 8161, max: 8160 });
    }
}
