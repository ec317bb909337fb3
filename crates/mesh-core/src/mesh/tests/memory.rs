#![cfg(target_os = "linux")]
//! The secrets that remain in memory after the end of a mesh. The test must be
//! alone in its process, as it is under nextest, because other tests hold
//! secrets too.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::{Zeroize, Zeroizing};

use super::{hostile::Raw, *};
use crate::crypto::kdf::Prk;

/// A pattern, stored inverted so that the search does not find the pattern itself.
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
        // The one buffer of the search is wiped after each use, and its content is not counted.
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
    text.zeroize();
    raw.zeroize();
    for (form, hidden) in ["text", "bytes"].into_iter().zip(hidden) {
        assert!(!hidden.is_in_memory(), "the secret as {form}");
    }

    let kept = b"a pattern that is in memory".to_vec();
    assert!(Hidden::of(&kept).is_in_memory(), "the search finds what is there");
}

/// The content of a DER element of less than 64 KiB, and the bytes after it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = match der[1] {
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        0x81 => (3, der[2].into()),
        length => (2, length.into()),
    };
    der[header..].split_at(length)
}

/// The secret numbers of the key in a PEM file, in the byte order of the file
/// and of processors, and a piece of the PEM itself.
fn secrets_of_key(path: &std::path::Path) -> Vec<(String, Hidden)> {
    let pem = Zeroizing::new(fs::read(path).unwrap());
    let mut text = Zeroizing::new(Vec::with_capacity(pem.len()));
    pem.split(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b"-----"))
        .for_each(|line| text.extend_from_slice(line));
    let mut der = Zeroizing::new(vec![0; text.len()]);
    STANDARD.decode_slice(&**text, &mut der).unwrap();
    // PrivateKeyInfo, from the version to the key; RSAPrivateKey from n to q.
    let (info, _) = element(&der);
    let (_, algorithm) = element(info);
    let (_, key) = element(algorithm);
    let (octets, _) = element(key);
    let (mut numbers, _) = element(octets);
    let mut found = vec![("text".to_owned(), Hidden::of(&text[text.len() / 2..][..48]))];
    for name in ["version", "n", "e", "d", "p", "q"] {
        let (number, rest) = element(numbers);
        if number.len() > 32 && name != "n" {
            let middle = &number[number.len() / 2 - 16..][..32];
            let reversed: Zeroizing<Vec<u8>> = Zeroizing::new(middle.iter().rev().copied().collect());
            found.push((name.to_owned(), Hidden::of(middle)));
            found.push((format!("{name}, last byte first"), Hidden::of(&reversed)));
        }
        numbers = rest;
    }
    assert_eq!(found.len(), 7);
    found
}

#[tokio::test]
async fn nothing_of_the_private_keys_is_left_after_close() {
    let keys = directory();
    let options = || json!({ "paths": { "keysDir": keys } });
    // The first mesh makes the key, and the second loads it.
    for _ in 0..2 {
        let server = Node::server(options(), echo()).await;
        let client = Node::client_of(&server, options()).await;
        client.call("echo", b"").await.unwrap();
        client.mesh.close(Duration::ZERO).await;
        server.mesh.close(Duration::ZERO).await;
        drop((client, server));
    }
    sleep(Duration::from_millis(300)).await; // the I/O threads end

    let files = fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "pem")).collect();
    files.sort();
    assert_eq!(files.len(), 2);
    let mut left = Vec::new();
    for file in files {
        let found = secrets_of_key(&file).into_iter().filter(|(_, hidden)| hidden.is_in_memory());
        left.extend(found.map(|(name, _)| name));
    }
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn nothing_of_the_session_keys_is_left_after_close() {
    let server = Node::server(json!({}), echo()).await;
    let mut raw = Raw::connect(&server).await;
    raw.works().await;
    let mut hidden = Vec::new();
    for (side, secret) in [("seal", &raw.session.seal), ("open", &raw.session.open)] {
        hidden.push((format!("{side} traffic secret"), Hidden::of(secret.as_bytes())));
        let traffic = Prk::from_secret(secret.clone());
        for label in ["key", "mac", "token", "rekey"] {
            let mut key = Zeroizing::new([0; 32]);
            traffic.expand(label, &[], &mut *key);
            hidden.push((format!("{side} {label}"), Hidden::of(&*key)));
        }
    }
    assert!(hidden[0].1.is_in_memory(), "a session that lives has its secret");
    drop(raw);
    server.mesh.close(Duration::ZERO).await;
    drop(server);
    let mut left = Vec::new();
    // The stack of the I/O thread vanishes with the thread.
    for _ in 0..20 {
        sleep(Duration::from_millis(300)).await;
        left = hidden.iter().filter(|(_, hidden)| hidden.is_in_memory()).map(|(name, _)| name).collect();
        if left.is_empty() {
            return;
        }
    }
    panic!("{left:?}");
}
