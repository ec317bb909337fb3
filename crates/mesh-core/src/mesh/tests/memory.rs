#![cfg(target_os = "linux")]
//! What is left in memory when a mesh is gone. Alone in its process under
//! nextest, as it has to be: other tests hold secrets too.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use super::*;

/// A pattern kept inverted, so that the search does not find itself.
struct Hidden(Vec<u8>);

impl Hidden {
    fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| !byte).collect())
    }

    fn matches(&self, window: &[u8]) -> bool {
        window.iter().zip(&self.0).all(|(byte, inverted)| *byte == !inverted)
    }

    /// Whether the pattern is in this process's writable memory.
    fn is_in_memory(&self) -> bool {
        let memory = File::open("/proc/self/mem").unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        // One buffer, wiped after each use; what it holds is not counted.
        let mut buffer = vec![0; 64 * 1024];
        let own = buffer.as_ptr() as u64;
        let own = own..own + buffer.len() as u64;
        let mut found = false;
        for line in maps.lines() {
            let (range, rest) = line.split_once(' ').unwrap();
            if !rest.starts_with("rw") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let [mut at, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            while at < end {
                let Ok(read) = memory.read_at(&mut buffer, at) else { break };
                found |= buffer[..read]
                    .windows(self.0.len())
                    .enumerate()
                    .any(|(offset, window)| !own.contains(&(at + offset as u64)) && self.matches(window));
                buffer.fill(0);
                // Windows overlap, so that no pattern is cut in two.
                at += (read - self.0.len().min(read - 1)) as u64;
            }
        }
        found
    }
}

#[tokio::test]
async fn nothing_of_the_mesh_secret_is_left_after_close() {
    let keys = directory();
    let embedded = || json!({ "security": { "jwtSecret": null }, "paths": { "keysDir": keys } });
    let server = Node::server(embedded(), echo()).await;
    let client = Node::client_of(&server, embedded()).await;
    client.call("echo", b"").await.unwrap();
    client.mesh.close(Duration::ZERO).await;
    server.mesh.close(Duration::ZERO).await;
    drop((client, server));
    sleep(Duration::from_millis(300)).await; // the I/O threads end

    let mut text = fs::read(keys.join("mesh-secret")).unwrap();
    let mut raw = hex::decode(&text[..64]).unwrap();
    let hidden = [Hidden::of(&text[..64]), Hidden::of(&raw)];
    zeroize::Zeroize::zeroize(&mut text);
    zeroize::Zeroize::zeroize(&mut raw);
    for (form, hidden) in ["text", "bytes"].into_iter().zip(hidden) {
        assert!(!hidden.is_in_memory(), "the secret as {form}");
    }

    let kept = b"a pattern that is in memory".to_vec();
    assert!(Hidden::of(&kept).is_in_memory(), "the search finds what is there");
}
