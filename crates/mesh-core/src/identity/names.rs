//! The service that a certificate names.

use super::{certificate::Facts, error::IdentityError};
use crate::id::ServiceId;

const SCHEME: &str = "spiffe://";
/// Longest SPIFFE id, as its standard has it.
const MAX_SPIFFE_ID: usize = 2048;
/// Longest trust domain.
const MAX_TRUST_DOMAIN: usize = 255;
const PLACEHOLDER: &str = "{service}";

/// A parsed SPIFFE id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpiffeId<'a> {
    pub(super) trust_domain: &'a str,
    /// Empty, or from its first slash.
    pub(super) path: &'a str,
}

impl<'a> SpiffeId<'a> {
    /// Parses `text` by the SPIFFE standard, which leaves no room for ports,
    /// queries, percent signs, upper-case domains or relative segments.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_SPIFFE_ID {
            return None;
        }
        let rest = text.strip_prefix(SCHEME)?;
        let (trust_domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let domain_byte =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        let domain =
            (1..=MAX_TRUST_DOMAIN).contains(&trust_domain.len()) && trust_domain.bytes().all(domain_byte);
        let path_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(path_byte);
        let whole = path.is_empty() || path.split('/').skip(1).all(segment);
        (domain && whole).then_some(Self { trust_domain, path })
    }
}

/// The configured way in which certificates name services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameRule {
    /// `security.certificate.trustDomain`.
    pub trust_domain: Option<String>,
    /// `security.certificate.id`: a SPIFFE id with the placeholder `{service}`.
    pub template: Option<String>,
    /// `security.certificate.names`: whether DNS names count where there is no URI.
    pub dns: bool,
    /// `security.certificate.dnsSuffix`.
    pub dns_suffix: Option<String>,
}

impl NameRule {
    /// The option at fault and the reason, if the rule cannot be used.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        if let Some(template) = &self.template {
            let filled = template.replacen(PLACEHOLDER, "service", 1);
            let before = template.split_once(PLACEHOLDER).and_then(|(before, _)| before.strip_prefix(SCHEME));
            let is_in_path = before.is_some_and(|before| before.contains('/'));
            // A second placeholder is no part of a SPIFFE id.
            let id = SpiffeId::parse(&filled).filter(|_| is_in_path);
            let Some(id) = id else {
                let expected = "a SPIFFE id with one placeholder in its path, as in \
                                'spiffe://shop.example/ns/prod/sa/{service}'";
                return Some(("id", expected));
            };
            if self.trust_domain.as_deref().is_some_and(|domain| domain != id.trust_domain) {
                return Some(("trustDomain", "the trust domain of security.certificate.id, or absent"));
            }
        }
        if let Some(domain) = &self.trust_domain
            && SpiffeId::parse(&format!("{SCHEME}{domain}")).is_none_or(|id| !id.path.is_empty())
        {
            return Some((
                "trustDomain",
                "a trust domain of lower-case letters, digits, '.', '-' and '_', without a scheme",
            ));
        }
        let suffix = |text: &str| {
            let label =
                |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            text.len() <= 253 && text.split('.').all(label)
        };
        match &self.dns_suffix {
            Some(_) if !self.dns => Some(("dnsSuffix", "used together with names: 'dns'")),
            Some(text) if !suffix(text) => {
                Some(("dnsSuffix", "a DNS name without a leading dot, as in 'prod.svc.cluster.local'"))
            }
            _ => None,
        }
    }
}

/// The rule, completed by this service's own certificate.
#[derive(Clone, Debug)]
pub struct Names {
    /// The text before and after the service id in a SPIFFE id.
    spiffe: Option<(String, String)>,
    dns: bool,
    suffix: Option<String>,
}

impl Names {
    /// Peers are named as `own` is, unless there is a template.
    pub(super) fn new(rule: &NameRule, own: &Facts) -> Self {
        let by_template = rule.template.as_ref().and_then(|template| {
            template.split_once(PLACEHOLDER).map(|(before, after)| (before.to_owned(), after.to_owned()))
        });
        let by_own_path = || {
            let [uri] = &own.uris[..] else { return None };
            let id = SpiffeId::parse(uri)?;
            let (parent, _) = id.path.rsplit_once('/')?;
            let domain = rule.trust_domain.as_deref().unwrap_or(id.trust_domain);
            Some((format!("{SCHEME}{domain}{parent}/"), String::new()))
        };
        Self { spiffe: by_template.or_else(by_own_path), dns: rule.dns, suffix: rule.dns_suffix.clone() }
    }

    /// Checks that a leaf names `service`; returns the name that does. A false
    /// positive is an attack.
    pub(super) fn check(&self, leaf: &Facts, service: &ServiceId) -> Result<String, IdentityError> {
        let wrong = |why| IdentityError::Name { service: service.clone(), why };
        match &leaf.uris[..] {
            [] if self.dns => {
                let id = service.as_str();
                let with_suffix = self.suffix.as_ref().map(|suffix| format!("{id}.{suffix}"));
                let names = |name: &&String| **name == id || with_suffix.as_ref() == Some(*name);
                leaf.dns.iter().find(names).cloned().ok_or_else(|| {
                    wrong("no DNS name of it is the service id, or the id followed by '.' and dnsSuffix")
                })
            }
            [] => Err(wrong("it has no SPIFFE id; names: 'dns' accepts DNS names instead")),
            [uri] => {
                if SpiffeId::parse(uri).is_none() {
                    return Err(wrong("its URI is not a SPIFFE id"));
                }
                let (before, after) =
                    self.spiffe.as_ref().ok_or_else(|| wrong("this service's own certificate has no SPIFFE id, and no security.certificate.id says how services are named"))?;
                let id = uri.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(after.as_str()));
                match id {
                    Some(id) if id == service.as_str() => Ok(uri.clone()),
                    _ => Err(wrong("its SPIFFE id is that of another service, namespace or trust domain")),
                }
            }
            _ => Err(wrong("it has more than one URI")),
        }
    }
}
