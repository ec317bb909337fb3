//! Changes of an identity at run time: the next key, the next mesh secret, and
//! the end of a previous secret's grace.

use std::sync::Arc;

use super::{
    Local,
    certificate::Certificate,
    error::HandshakeError,
    resumption::Tickets,
    succession::Succession,
    trust::{MeshSecret, SecretId},
};
use crate::{clock::Timestamp, crypto::rsa::KeyPair};

/// The most previous secrets within their grace; beyond it the oldest is dropped.
const MAX_FORMER: usize = 8;

impl Local {
    /// The identity with `secret` as its current secret. Every previous secret is
    /// accepted until `until` at the latest, even if an earlier rotation promised
    /// more: an operator ends a leaked secret by a rotation without grace. All
    /// tickets become void. `None` if `secret` is or was in use here, because that
    /// would be no rotation.
    pub fn with_secret(
        &self,
        secret: MeshSecret,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Self>, HandshakeError> {
        let used = self.secrets.iter().any(|known| known.id == secret.id);
        if used || self.retired.contains(secret.id) {
            return Ok(None);
        }
        let mut next = self.clone();
        for previous in &mut next.secrets {
            previous.until = Some(previous.until.map_or(until, |promised| promised.min(until)));
        }
        next.secrets.insert(0, secret);
        next.retire(now);
        next.renew_tickets().map(Some)
    }

    /// The identity without the secrets whose grace is over; `None` if there are none.
    pub fn without_retired(&self, now: Timestamp) -> Result<Option<Self>, HandshakeError> {
        if self.secrets.iter().all(|secret| secret.is_live(now)) {
            return Ok(None);
        }
        let mut next = self.clone();
        next.retire(now);
        next.renew_tickets().map(Some)
    }

    /// The identity with the key `next`, which the current key names its
    /// successor. All tickets become void. Does an RSA private operation of the
    /// current key.
    pub fn with_key(&self, next: KeyPair) -> Result<Self, HandshakeError> {
        let succession = Succession::new(&self.id, &self.key, next.public_key())?;
        let holders = Arc::default();
        Self { key: next, succession: Some(succession), holders, ..self.clone() }.renew_tickets()
    }

    /// The identity with a new delegation, which names the key `next`. All tickets become void.
    pub fn with_certificate(&self, next: KeyPair, certificate: Certificate) -> Result<Self, HandshakeError> {
        let certificate = Some(certificate);
        Self { key: next, certificate, holders: Arc::default(), ..self.clone() }.renew_tickets()
    }

    /// The identities to offer in a handshake, in this order. A peer may know
    /// only the current secret, or not know it yet.
    #[must_use]
    pub fn offers(self: &Arc<Self>, now: Timestamp) -> Vec<Arc<Self>> {
        let former = self.secrets.iter().skip(1).filter(|secret| secret.is_live(now));
        let former =
            former.map(|secret| Arc::new(Self { secrets: vec![secret.clone()], ..(**self).clone() }));
        std::iter::once(Arc::clone(self)).chain(former).collect()
    }

    /// Whether `id` names a secret that is no longer accepted.
    pub(super) fn has_retired(&self, id: SecretId, now: Timestamp) -> bool {
        let over = |secret: &MeshSecret| secret.id == id && !secret.is_live(now);
        self.retired.contains(id) || self.secrets.iter().any(over)
    }

    fn retire(&mut self, now: Timestamp) {
        let (live, over): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.secrets).into_iter().partition(|secret| secret.is_live(now));
        self.secrets = live;
        let beyond = self.secrets.len().min(1 + MAX_FORMER);
        for secret in over.iter().chain(&self.secrets[beyond..]) {
            self.retired.add(secret.id);
        }
        self.secrets.truncate(beyond);
    }

    fn renew_tickets(mut self) -> Result<Self, HandshakeError> {
        self.tickets = Arc::new(Tickets::new(&self.id, &self.key, &self.secrets)?);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{retired::MAX_RETIRED, tests::NOW},
        *,
    };
    use crate::handshake::tests::{key, local};

    const GRACE: Duration = Duration::from_mins(1);

    fn secret(number: u8) -> MeshSecret {
        MeshSecret::new(&[number; 32])
    }

    #[test]
    fn a_former_secret_counts_until_its_grace_is_over() {
        let first = local("server", key(0), &[&[1; 32]]);
        let next = first.with_secret(secret(2), NOW + GRACE, NOW).unwrap().unwrap();
        let ids = |local: &Local| local.secrets.iter().map(|secret| secret.id).collect::<Vec<_>>();
        assert_eq!(ids(&next), [secret(2).id, secret(1).id]);
        let last = NOW + Duration::from_millis(59_999);
        assert!(next.without_retired(last).unwrap().is_none() && !next.has_retired(secret(1).id, last));
        assert_eq!(Arc::new(next.clone()).offers(last).len(), 2);
        // The grace ends to the millisecond, even before the clean-up.
        assert!(next.has_retired(secret(1).id, NOW + GRACE));
        assert_eq!(Arc::new(next.clone()).offers(NOW + GRACE).len(), 1);
        let tidy = next.without_retired(NOW + GRACE).unwrap().unwrap();
        assert_eq!(ids(&tidy), [secret(2).id]);
        assert!(tidy.has_retired(secret(1).id, NOW) && !tidy.has_retired(secret(3).id, NOW));
        for used in [secret(1), secret(2)] {
            assert!(tidy.with_secret(used, NOW, NOW).unwrap().is_none(), "there is no way back");
        }
    }

    #[test]
    fn a_rotation_without_grace_ends_the_grace_of_every_previous_secret() {
        let first = local("server", key(0), &[&[1; 32]]);
        let day = Duration::from_hours(24);
        let second = first.with_secret(secret(2), NOW + day, NOW).unwrap().unwrap();
        let third = second.with_secret(secret(3), NOW + day, NOW).unwrap().unwrap();
        assert_eq!(third.secrets.len(), 3);
        let emergency = third.with_secret(secret(4), NOW, NOW).unwrap().unwrap();
        assert_eq!(emergency.secrets.iter().map(|secret| secret.id).collect::<Vec<_>>(), [secret(4).id]);
        assert!((1..=3).all(|number| emergency.has_retired(secret(number).id, NOW)));

        // A later rotation with a longer grace does not extend an earlier grace.
        let minute = second.with_secret(secret(3), NOW + GRACE, NOW).unwrap().unwrap();
        let longer = minute.with_secret(secret(4), NOW + day, NOW).unwrap().unwrap();
        assert!(
            longer.has_retired(secret(1).id, NOW + GRACE) && longer.has_retired(secret(2).id, NOW + GRACE)
        );
        assert!(!longer.has_retired(secret(3).id, NOW + GRACE));
    }

    #[test]
    fn former_and_retired_secrets_are_bounded() {
        let mut now = local("server", key(0), &[&[0; 32]]);
        for number in 1..=100 {
            now = now.with_secret(secret(number), NOW + GRACE, NOW).unwrap().unwrap();
        }
        assert_eq!((now.secrets.len(), now.retired.ids().len()), (1 + MAX_FORMER, MAX_RETIRED));
        assert_eq!(now.secrets[0].id, secret(100).id);
        assert_eq!(now.retired.ids().back(), Some(&secret(91).id));
    }
}
