//! The instances of a service below a folder of keys, followed by revision.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_stream::{StreamExt, once, pending};

use super::{
    super::{error::ProviderError, sink::Sink},
    cluster::{Cluster, MAX_ANSWER, Member, TIMEOUT},
    generated::{
        KeyValue, RangeRequest, WatchCreateRequest, WatchRequest, WatchResponse, event::EventType,
        kv_client::KvClient, watch_client::WatchClient, watch_request::RequestUnion,
    },
};
use crate::discovery::{MAX_INSTANCES, check_instance};

/// The delay after the first failure in a row, which doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The most bytes of the value of one instance. The checks of an instance bound what they know of it; this bounds
/// the rest, which a writer of keys chooses.
const MAX_VALUE: usize = 16 * 1024;

/// The instances that are known, by their keys.
type Known = BTreeMap<Bytes, Value>;

/// Follows the keys below `folder`. Ends only with a failure before the first list: later ones are told to the
/// sink, and the list stays in use.
pub(super) async fn watch(
    cluster: &Cluster,
    folder: &str,
    lifetime: Duration,
    sink: &dyn Sink,
) -> ProviderError {
    let mut list = List { folder, sink, known: Known::new(), told: false, complained: false };
    let mut delay = FIRST_DELAY;
    let mut away_since = None;
    loop {
        let error = match list.read(cluster, away_since.is_some(), lifetime).await {
            Ok((member, revision, recheck)) => {
                if away_since.take().is_some() {
                    sink.away(false);
                    sink.trouble(format!("etcd answers again for {folder}"));
                }
                delay = FIRST_DELAY;
                list.follow(&member, revision, recheck).await
            }
            Err(error) => Some(error),
        };
        // Without an error the list is to be read again at once: its revisions are gone, or it is to be confirmed.
        let Some(error) = error else { continue };
        cluster.turn();
        if !list.told {
            return error;
        }
        if away_since.is_none() {
            away_since = Some(Instant::now());
            sink.away(true);
            sink.trouble(format!("{error}; the {} instances that are known stay in use", list.known.len()));
        }
        sleep(delay).await;
        delay = (2 * delay).min(LONGEST_DELAY);
    }
}

struct List<'a> {
    folder: &'a str,
    sink: &'a dyn Sink,
    known: Known,
    /// Whether a list was reported.
    told: bool,
    /// Whether something in the list was complained about, which is done once until it is good.
    complained: bool,
}

impl List<'_> {
    /// Reads all instances. Returns the revision from which changes follow, and when the list is to be read again.
    ///
    /// After an absence of etcd, those that are missing stay for one `lifetime`: an etcd that lost its data learns of
    /// them again when they renew their registration.
    async fn read(
        &mut self,
        cluster: &Cluster,
        was_away: bool,
        lifetime: Duration,
    ) -> Result<(Member, i64, Option<Instant>), ProviderError> {
        let member = cluster.connect().await?;
        let request = RangeRequest {
            key: Bytes::copy_from_slice(self.folder.as_bytes()),
            range_end: end_of(self.folder),
            limit: i64::try_from(MAX_INSTANCES + 1).unwrap_or(i64::MAX),
        };
        let mut client = KvClient::new(member.channel.clone()).max_decoding_message_size(MAX_ANSWER);
        let answer = client.range(member.request(request)).await;
        let answer = answer.map_err(|status| member.failed(&status))?.into_inner();
        let header = answer.header.ok_or_else(|| member.failed_with("an answer without a revision"))?;
        let mut fresh = Known::new();
        for entry in answer.kvs {
            self.put(&mut fresh, entry);
        }
        if fresh.len() == self.known.len() && !answer.more {
            self.complained = false;
        }
        let missing = self.known.keys().any(|key| !fresh.contains_key(key));
        let recheck = (was_away && missing).then(|| Instant::now() + lifetime);
        if recheck.is_some() {
            for (key, instance) in std::mem::take(&mut self.known) {
                fresh.entry(key).or_insert(instance);
            }
        }
        if self.known != fresh || !self.told {
            self.known = fresh;
            self.report();
        }
        Ok((member, header.revision + 1, recheck))
    }

    /// Follows changes from a revision on. Returns an error if etcd fails, and `None` if the list must be read again.
    async fn follow(
        &mut self,
        member: &Member,
        revision: i64,
        recheck: Option<Instant>,
    ) -> Option<ProviderError> {
        let create = WatchCreateRequest {
            key: Bytes::copy_from_slice(self.folder.as_bytes()),
            range_end: end_of(self.folder),
            start_revision: revision,
            progress_notify: true,
        };
        let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        // The stream of requests stays open: its end would end the watch.
        let requests = once(create).chain(pending());
        let mut client = WatchClient::new(member.channel.clone()).max_decoding_message_size(MAX_ANSWER);
        let opened = timeout(TIMEOUT, client.watch(member.stream(requests))).await;
        let mut changes = match opened {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => return Some(member.failed(&status)),
            Err(_) => return Some(member.failed_with("no answer in time")),
        };
        let confirmation = async {
            match recheck {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(confirmation);
        loop {
            let change = tokio::select! {
                () = &mut confirmation => return None,
                change = changes.message() => change,
            };
            match change {
                Ok(Some(change)) if change.canceled => {
                    // Compacted: the revisions between are gone, so the whole list is read.
                    if change.compact_revision > 0 {
                        return None;
                    }
                    let reason: String = change.cancel_reason.chars().take(200).collect();
                    return Some(member.failed_with(&format!("the watch was cancelled: {reason}")));
                }
                Ok(Some(change)) => self.apply(change),
                Ok(None) => return Some(member.failed_with("the watch has ended")),
                Err(status) => return Some(member.failed(&status)),
            }
        }
    }

    fn apply(&mut self, change: WatchResponse) {
        let mut known = self.known.clone();
        for event in change.events {
            let deleted = event.r#type() == EventType::Delete;
            let Some(entry) = event.kv else { continue };
            if !entry.key.starts_with(self.folder.as_bytes()) {
                continue;
            }
            if deleted {
                known.remove(&entry.key);
            } else {
                self.put(&mut known, entry);
            }
        }
        if known != self.known {
            self.known = known;
            self.report();
        }
    }

    /// Takes one entry. One that is no instance is left out: it is one writer's fault, and the others' are good.
    fn put(&mut self, known: &mut Known, entry: KeyValue) {
        let key = String::from_utf8_lossy(&entry.key).into_owned();
        // Looked at only below the limit: parsed values take a multiple of their text.
        let text = if entry.value.len() > MAX_VALUE { &[][..] } else { &entry.value[..] };
        let value: Result<Value, _> = serde_json::from_slice(text);
        let fault = match value {
            _ if known.len() >= MAX_INSTANCES && !known.contains_key(&entry.key) => {
                format!("{} has more than {MAX_INSTANCES} instances; the rest is left out", self.folder)
            }
            _ if entry.value.len() > MAX_VALUE => {
                format!("the value of {} has more than {MAX_VALUE} bytes", shorten(&key))
            }
            Err(error) => format!("the value of {} is not JSON: {error}", shorten(&key)),
            Ok(value) => {
                let Err(error) = check_instance(&value) else {
                    known.insert(entry.key, value);
                    return;
                };
                format!("the value of {} is no instance: {error}", shorten(&key))
            }
        };
        known.remove(&entry.key);
        if !self.complained {
            self.complained = true;
            self.sink.trouble(fault);
        }
    }

    fn report(&mut self) {
        self.told = true;
        self.sink.update(self.known.values().cloned().collect());
    }
}

fn shorten(key: &str) -> String {
    key.chars().take(100).collect()
}

/// The end of the keys that begin with a text: the text with its last byte raised.
fn end_of(prefix: &str) -> Bytes {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        // Text is UTF-8, which has no byte 255.
        *last += 1;
    }
    end.into()
}
