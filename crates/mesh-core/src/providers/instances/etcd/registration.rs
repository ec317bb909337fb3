//! This service as a key of etcd, under a lease that is kept alive.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_stream::{StreamExt, once, wrappers::UnboundedReceiverStream};

use super::{
    super::{error::ProviderError, sink::Sink},
    cluster::{Cluster, Member, TIMEOUT},
    generated::{
        LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, PutRequest, kv_client::KvClient,
        lease_client::LeaseClient,
    },
};

/// A lease is renewed so often in its lifetime.
const RENEWALS: u32 = 3;
/// The delay after the first failure in a row, which doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// A registration that is kept alive. When it is dropped it is left to end with its lease.
#[derive(Debug)]
pub(in crate::providers::instances) struct EtcdRegistration {
    withdraw: oneshot::Sender<oneshot::Sender<Result<(), ProviderError>>>,
    keeper: JoinHandle<()>,
}

impl Drop for EtcdRegistration {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

struct Keeper {
    cluster: Arc<Cluster>,
    key: String,
    value: String,
    lifetime: Duration,
    sink: Box<dyn Sink>,
}

impl EtcdRegistration {
    pub(super) async fn new(
        cluster: Arc<Cluster>,
        key: String,
        value: String,
        lifetime: Duration,
        sink: Box<dyn Sink>,
    ) -> Result<Self, ProviderError> {
        let keeper = Keeper { cluster, key, value, lifetime, sink };
        let (member, lease) = keeper.register().await?;
        let (withdraw, withdrawn) = oneshot::channel();
        let keeper = tokio::spawn(keeper.keep(member, lease, withdrawn));
        Ok(Self { withdraw, keeper })
    }

    /// Takes the registration back; `None` if nobody keeps it any more.
    pub(in crate::providers::instances) async fn withdraw(mut self) -> Option<Result<(), ProviderError>> {
        let (answer, answered) = oneshot::channel();
        let (unused, _) = oneshot::channel();
        let order = std::mem::replace(&mut self.withdraw, unused);
        order.send(answer).ok()?;
        answered.await.ok()
    }
}

impl Keeper {
    /// Makes a lease, and the key under it.
    async fn register(&self) -> Result<(Member, i64), ProviderError> {
        let member = self.cluster.connect().await?;
        let request = LeaseGrantRequest { ttl: self.lifetime.as_secs().cast_signed(), id: 0 };
        let mut leases = LeaseClient::new(member.channel.clone());
        let granted = leases.lease_grant(member.request(request)).await;
        let lease = granted.map_err(|status| member.failed(&status))?.into_inner().id;
        let request = PutRequest {
            key: Bytes::copy_from_slice(self.key.as_bytes()),
            value: Bytes::copy_from_slice(self.value.as_bytes()),
            lease,
        };
        let put = KvClient::new(member.channel.clone()).put(member.request(request)).await;
        match put {
            Ok(_) => Ok((member, lease)),
            Err(status) => {
                // A lease without a key would only be waste; its end is certain either way.
                let _ = leases.lease_revoke(member.request(LeaseRevokeRequest { id: lease })).await;
                Err(member.failed(&status))
            }
        }
    }

    /// Keeps the lease alive, or registers again when it is lost, until told to withdraw.
    async fn keep(
        self,
        member: Member,
        lease: i64,
        mut withdrawn: oneshot::Receiver<oneshot::Sender<Result<(), ProviderError>>>,
    ) {
        let mut held = Some((member, lease));
        let mut delay = FIRST_DELAY;
        let mut away = false;
        loop {
            let renewing = async {
                if let Some((member, lease)) = &held {
                    return self.renew(member, *lease).await;
                }
                sleep(delay).await;
                None
            };
            let lost = tokio::select! {
                order = &mut withdrawn => {
                    let result = match held {
                        Some((member, lease)) => self.revoke(member, lease).await,
                        None => Ok(()),
                    };
                    if let Ok(answer) = order {
                        // Nobody may wait for it any more.
                        let _ = answer.send(result);
                    }
                    return;
                }
                lost = renewing => lost,
            };
            if let Some(error) = lost {
                self.cluster.turn();
                if !away {
                    away = true;
                    self.sink.trouble(format!(
                        "{error}; the registration of this service is renewed when it can be"
                    ));
                }
            }
            held = self.register().await.ok();
            if held.is_none() {
                self.cluster.turn();
                delay = (2 * delay).min(LONGEST_DELAY);
                continue;
            }
            if away {
                self.sink.trouble(format!("this service is registered again as {}", self.key));
            }
            (delay, away) = (FIRST_DELAY, false);
        }
    }

    /// Renews the lease as long as that works. Returns the failure, if it is one of etcd.
    async fn renew(&self, member: &Member, lease: i64) -> Option<ProviderError> {
        let pause = self.lifetime / RENEWALS;
        let (sender, orders) = tokio::sync::mpsc::unbounded_channel();
        let ask = LeaseKeepAliveRequest { id: lease };
        let requests = once(ask).chain(UnboundedReceiverStream::new(orders));
        let mut leases = LeaseClient::new(member.channel.clone());
        let opened = timeout(TIMEOUT, leases.lease_keep_alive(member.stream(requests))).await;
        let mut answers = match opened {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => return Some(member.failed(&status)),
            Err(_) => return Some(member.failed_with("no answer in time")),
        };
        loop {
            match timeout(TIMEOUT, answers.message()).await {
                Ok(Ok(Some(answer))) if answer.ttl > 0 => {}
                // The lease is over: etcd was away for longer, or lost its data.
                Ok(Ok(Some(_))) => return Some(member.failed_with("the lease of this service is over")),
                Ok(Ok(None)) => return Some(member.failed_with("the lease is not renewed any more")),
                Ok(Err(status)) => return Some(member.failed(&status)),
                Err(_) => return Some(member.failed_with("no answer in time")),
            }
            sleep(pause).await;
            if sender.send(ask).is_err() {
                return Some(member.failed_with("the lease is not renewed any more"));
            }
        }
    }

    /// Ends the lease, and the key with it. The member at hand may be gone by now; another one does as well.
    async fn revoke(&self, member: Member, lease: i64) -> Result<(), ProviderError> {
        let request = LeaseRevokeRequest { id: lease };
        let revoked = LeaseClient::new(member.channel.clone()).lease_revoke(member.request(request)).await;
        if revoked.is_ok() {
            return Ok(());
        }
        let member = self.cluster.connect().await?;
        let revoked = LeaseClient::new(member.channel.clone()).lease_revoke(member.request(request)).await;
        revoked.map(|_| ()).map_err(|status| member.failed(&status))
    }
}
