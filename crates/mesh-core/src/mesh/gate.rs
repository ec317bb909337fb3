//! Whether this process is ready, as its mesh and its application say.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::sync::lock;

/// How long the word of the application about a dependency counts. It is asked every few seconds.
const FRESH: Duration = Duration::from_secs(15);
/// Dependencies.
const MAX_CHECKS: usize = 64;

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

/// Whether this process is ready.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: AtomicU8,
    checks: Mutex<BTreeMap<String, (Instant, Option<String>)>>,
}

impl Gate {
    /// The mesh has started.
    pub(super) fn open(&self) {
        let _ = self.state.compare_exchange(STARTING, READY, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The mesh takes no more requests.
    pub(super) fn shut(&self) {
        self.state.store(DRAINING, Ordering::Relaxed);
    }

    /// The word of the application about a dependency: nothing, or the fault.
    pub(super) fn tell(&self, name: &str, problem: Option<String>) {
        let checks = &mut *lock(&self.checks);
        if checks.len() < MAX_CHECKS || checks.contains_key(name) {
            checks.insert(name.to_owned(), (Instant::now(), problem));
        }
    }

    /// A dependency counts no longer.
    pub(super) fn forget(&self, name: &str) {
        lock(&self.checks).remove(name);
    }

    /// The dependencies that keep this process from being ready.
    pub(super) fn obstacles(&self) -> Vec<String> {
        let state = match self.state.load(Ordering::Relaxed) {
            STARTING => Some("the mesh starts"),
            READY => None,
            _ => Some("the mesh takes no more requests"),
        };
        let mut obstacles: Vec<String> = state.map(str::to_owned).into_iter().collect();
        for (name, (told, problem)) in &*lock(&self.checks) {
            if told.elapsed() > FRESH {
                obstacles.push(format!(
                    "{name}: the application has not answered for {} s",
                    told.elapsed().as_secs()
                ));
            } else if let Some(problem) = problem {
                obstacles.push(format!("{name}: {problem}"));
            }
        }
        obstacles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_process_is_ready_while_its_mesh_runs_and_its_dependencies_are_well() {
        let gate = Gate::default();
        assert_eq!(gate.obstacles(), ["the mesh starts"]);
        gate.open();
        gate.tell("database", None);
        assert!(gate.obstacles().is_empty());
        gate.tell("database", Some("no answer".to_owned()));
        assert_eq!(gate.obstacles(), ["database: no answer"]);
        gate.tell("database", None);
        tokio::time::advance(Duration::from_secs(16)).await;
        assert_eq!(gate.obstacles(), ["database: the application has not answered for 16 s"]);
        gate.forget("database");
        gate.shut();
        gate.open();
        assert_eq!(gate.obstacles(), ["the mesh takes no more requests"]);
    }
}
