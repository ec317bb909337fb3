//! The parts of an answer, in the form of files.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};
use zeroize::Zeroizing;

use super::{
    super::files::Contents,
    generated::{X509svid, X509svidResponse},
};

/// The most identities of one answer that are looked at.
const MAX_IDENTITIES: usize = 64;
/// The most certificates behind each other, in a chain or a bundle.
const MAX_CERTIFICATES: usize = 256;
/// The most revocation lists.
const MAX_LISTS: usize = 256;
/// The length of a line of PEM.
const LINE: usize = 64;

/// Takes the identity that is `wanted` out of an answer, or else the default one: its chain, its key, the anchors and
/// the revocation lists, each in PEM and the last empty if there are none.
pub(super) fn read(
    answer: &X509svidResponse,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Contents, &'static str> {
    let identities = answer.svids.get(..MAX_IDENTITIES).unwrap_or(&answer.svids);
    let identity = identities
        .iter()
        .find(|identity| wanted(&identity.spiffe_id))
        .or(identities.first())
        .ok_or("no identity")?;
    let X509svid { spiffe_id, x509_svid, x509_svid_key, bundle } = identity;
    if spiffe_id.is_empty() || x509_svid.is_empty() || x509_svid_key.is_empty() || bundle.is_empty() {
        return Err("an identity that lacks its id, its certificate, its key or the bundle");
    }
    if answer.crl.len() > MAX_LISTS {
        return Err("more than 256 revocation lists");
    }
    let chain = certificates(x509_svid).ok_or("an identity whose certificate is not X.509 in DER")?;
    let anchors = certificates(bundle).ok_or("a bundle that is not X.509 in DER")?;
    let mut key = Zeroizing::new(Vec::with_capacity(length("PRIVATE KEY", x509_svid_key.len())));
    put(&mut key, "PRIVATE KEY", x509_svid_key);
    let mut lists = Vec::new();
    for list in &answer.crl {
        put(&mut lists, "X509 CRL", list);
    }
    Ok(Contents::of(vec![chain.into(), key, anchors.into(), lists.into()]))
}

/// The certificates that stand behind each other in `ders`, in PEM.
fn certificates(ders: &[u8]) -> Option<Vec<u8>> {
    let (mut rest, mut pem) = (ders, Vec::new());
    for _ in 0..MAX_CERTIFICATES {
        if rest.is_empty() {
            return Some(pem);
        }
        let (after, _) = X509Certificate::from_der(rest).ok()?;
        put(&mut pem, "CERTIFICATE", rest.get(..rest.len() - after.len())?);
        rest = after;
    }
    rest.is_empty().then_some(pem)
}

/// Adds a PEM block. A buffer with room for [`length`] more does not grow, which would leave copies of a key behind.
fn put(pem: &mut Vec<u8>, label: &str, der: &[u8]) {
    let body = Zeroizing::new(BASE64_STANDARD.encode(der));
    pem.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in body.as_bytes().chunks(LINE) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
}

/// At least the length of a PEM block.
fn length(label: &str, der: usize) -> usize {
    let body = der.div_ceil(3) * 4;
    body + body.div_ceil(LINE) + 2 * (label.len() + 20)
}
