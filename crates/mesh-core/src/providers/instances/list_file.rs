//! A JSON file as the source of instances.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tokio::sync::{OnceCell, watch};

use super::{error::ProviderError, sink::Sink};
use crate::{
    id::ServiceId,
    providers::files::{FileError, Read, Watched},
};

/// The most bytes of the file.
const MAX_FILE: usize = 4 << 20;

/// The instances of each service, or the fault of the file.
type List = Result<Arc<HashMap<String, Vec<Value>>>, ProviderError>;

/// A file with instances. It is read and followed from the first question on.
#[derive(Debug)]
pub(super) struct ListFile {
    path: PathBuf,
    lists: OnceCell<watch::Receiver<List>>,
    /// The last fault that was told, since the services of a mesh share the file.
    told: Mutex<Option<String>>,
}

impl ListFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, lists: OnceCell::new(), told: Mutex::new(None) }
    }

    pub(super) async fn watch(&self, service: &ServiceId, sink: &dyn Sink) -> ProviderError {
        let mut lists = self.lists.get_or_init(|| follow(self.path.clone())).await.clone();
        let mut known = None;
        loop {
            let list = lists.borrow_and_update().clone();
            match list {
                Ok(services) => {
                    sink.away(false);
                    *self.told.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    let instances = services.get(service.as_str()).cloned().unwrap_or_default();
                    if known.as_ref() != Some(&instances) {
                        sink.update(instances.clone());
                        known = Some(instances);
                    }
                }
                Err(error) => {
                    sink.away(true);
                    self.tell(error.to_string(), sink);
                }
            }
            if lists.changed().await.is_err() {
                return FileError::Thread.into();
            }
        }
    }

    fn tell(&self, text: String, sink: &dyn Sink) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref() != Some(&text) {
            sink.trouble(text.clone());
            *told = Some(text);
        }
    }
}

/// Follows the file as long as somebody holds the receiver.
async fn follow(path: PathBuf) -> watch::Receiver<List> {
    let paths = vec![path.clone()];
    // The first reading blocks.
    let first = tokio::task::spawn_blocking(move || Watched::new(paths, MAX_FILE)).await;
    let Ok((first, mut file)) = first else {
        return watch::channel(Err(FileError::Thread.into())).1;
    };
    let (sender, receiver) = watch::channel(parse(&path, first));
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = sender.closed() => return,
                read = file.changed() => drop(sender.send_replace(parse(&path, read))),
            }
        }
    });
    receiver
}

fn parse(path: &Path, read: Read) -> List {
    let contents = read?;
    let wrong = |detail: String| ProviderError::List { path: path.display().to_string(), detail };
    let text = contents.files().first().map_or(&[][..], |file| file.as_slice());
    let Value::Array(entries) = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?
    else {
        return Err(wrong(
            "it must be an array, as in [{\"id\":\"orders\",\"host\":\"10.0.0.7\",\"port\":50051}]"
                .to_owned(),
        ));
    };
    let mut services: HashMap<String, Vec<Value>> = HashMap::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let id = entry.get("id").and_then(Value::as_str).and_then(|id| id.parse::<ServiceId>().ok());
        let id = id.ok_or_else(|| wrong(format!("[{index}].id must be a service id")))?;
        crate::discovery::check_instance(&entry).map_err(|error| wrong(format!("[{index}]{error}")))?;
        services.entry(id.to_string()).or_default().push(entry);
    }
    Ok(Arc::new(services))
}
