//! The admin port as strangers meet it, on real sockets.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{AdminPort, Changed, Done, Format, Later, Source};
use crate::{
    config::{Admin, AdminToken, MeshConfig},
    telemetry::{MeshEvent, Tail},
};

const TOKEN: &str = "a-token-of-the-tests-0123456789";

#[derive(Default)]
struct Facts {
    obstacles: Mutex<Vec<String>>,
    tail: Arc<Tail>,
}

impl Source for Facts {
    fn obstacles(&self) -> Vec<String> {
        self.obstacles.lock().unwrap().clone()
    }

    fn metrics(&self, format: Format) -> Later {
        Box::pin(async move { Some(format!("{format:?}")) })
    }

    fn report(&self) -> Later {
        Box::pin(async { Some("{\"service\":\"me\"}".to_owned()) })
    }

    fn picture(&self) -> Later {
        Box::pin(std::future::pending())
    }

    fn history(&self, window: u32, step: u32) -> Later {
        Box::pin(async move { Some(format!("[{window},{step}]")) })
    }

    fn recall(&self) -> Done {
        Box::pin(async {})
    }

    fn remember(&self) -> Done {
        Box::pin(async {})
    }

    fn put_away(&self) -> Done {
        Box::pin(async {})
    }

    fn trouble(&self, _: &'static str, _: String) {}

    fn rotate_key(&self) -> Changed {
        Box::pin(async { Some(Ok("{}".to_owned())) })
    }

    fn tail(&self) -> Arc<Tail> {
        Arc::clone(&self.tail)
    }
}

/// The token, as a configuration has it.
fn token() -> AdminToken {
    let config = serde_json::json!({ "serviceId": "me", "admin": { "port": 0, "token": TOKEN } });
    MeshConfig::parse(&config, |_| None).unwrap().admin.unwrap().token.unwrap()
}

async fn open(with_token: bool) -> (AdminPort, Arc<Facts>) {
    let facts = Arc::new(Facts::default());
    let admin = Admin {
        port: 0,
        host: "127.0.0.1".to_owned(),
        token: with_token.then(token),
        hosts: vec!["mesh.example".to_owned()],
        history: None,
        tls: None,
        probes_only: false,
    };
    (AdminPort::open(&admin, Arc::clone(&facts) as _).await.unwrap(), facts)
}

/// Sends one request as it is, and reads to the end.
async fn raw(port: &AdminPort, request: &str) -> String {
    let mut stream = TcpStream::connect(port.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a request with headers; the status and the whole answer.
async fn ask(port: &AdminPort, line: &str, headers: &[&str]) -> (u16, String) {
    let host = format!("Host: localhost:{}", port.address().port());
    let own = headers.iter().any(|header| header.to_ascii_lowercase().starts_with("host:"));
    let headers: Vec<_> = headers.iter().copied().chain((!own).then_some(host.as_str())).collect();
    let request = format!("{line} HTTP/1.1\r\n{}\r\nConnection: close\r\n\r\n", headers.join("\r\n"));
    let answer = raw(port, &request).await;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, answer)
}

async fn status(port: &AdminPort, line: &str, headers: &[&str]) -> u16 {
    ask(port, line, headers).await.0
}

#[tokio::test]
async fn every_answer_forbids_what_a_page_of_another_site_could_do_with_it() {
    let (port, _) = open(false).await;
    for path in ["/", "/livez", "/api/v1/self", "/nothing", "/metrics"] {
        let (_, answer) = ask(&port, &format!("GET {path}"), &[]).await;
        let answer = answer.to_ascii_lowercase();
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(header), "{path}: {header}\n{answer}");
        }
    }
}

#[tokio::test]
async fn a_name_that_somebody_points_here_is_no_host_of_this_port() {
    let (port, _) = open(true).await;
    let own = port.address().port();
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
        let host = format!("Host: {host}:{own}");
        assert_eq!(status(&port, "GET /", &[&host]).await, 421, "{host}");
        let bearer = format!("Authorization: Bearer {TOKEN}");
        assert_eq!(
            status(&port, "GET /api/v1/self", &[&host, &bearer]).await,
            200,
            "the token stands for it"
        );
        assert_eq!(status(&port, "GET /livez", &[&host]).await, 200, "a probe sends any");
    }
    for host in ["localhost", "127.0.0.1", "[::1]", "mesh.example", "LOCALHOST"] {
        assert_eq!(status(&port, "GET /", &[&format!("Host: {host}:{own}")]).await, 200, "{host}");
    }
    let two = "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(raw(&port, two).await.starts_with("HTTP/1.1 4"));
    let absolute = "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(raw(&port, absolute).await.starts_with("HTTP/1.1 421"));
}

#[tokio::test]
async fn a_page_of_another_site_reads_nothing() {
    let (port, _) = open(false).await;
    let own = format!("Origin: http://localhost:{}", port.address().port());
    for (headers, expected) in [
        (vec!["Origin: https://evil.example"], 403),
        (vec!["Origin: null"], 403),
        (vec!["Origin: http://localhost:1"], 403),
        (vec!["Sec-Fetch-Site: cross-site"], 403),
        (vec!["Sec-Fetch-Site: same-site"], 403),
        (vec!["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"], 403),
        (vec!["Sec-Fetch-Site: same-origin", &own], 200),
        (vec!["Sec-Fetch-Site: none"], 200),
    ] {
        assert_eq!(status(&port, "GET /api/v1/self", &headers).await, expected, "{headers:?}");
    }
    let visit = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"];
    assert_eq!(status(&port, "GET /", &visit).await, 200, "a link to the page may be followed");
}

#[tokio::test]
async fn the_port_is_read_only_and_no_path_leads_out_of_its_table() {
    let (port, _) = open(false).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"] {
        assert_eq!(status(&port, &format!("{method} /api/v1/self"), &[]).await, 405, "{method}");
    }
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/page.rs",
        "/api/v1/self/",
        "/api/v1/self%00",
        "/./api/v1/self",
    ] {
        assert_eq!(status(&port, &format!("GET {path}"), &[]).await, 404, "{path}");
    }
    let (code, answer) = ask(&port, "HEAD /api/v1/self", &[]).await;
    assert!(code == 200 && !answer.contains("service"), "{answer}");
}

#[tokio::test]
async fn only_the_token_opens_what_is_not_public() {
    let (port, _) = open(true).await;
    for path in ["/api/v1/self", "/api/v1/events", "/metrics", "/api/anything"] {
        let (code, answer) = ask(&port, &format!("GET {path}"), &[]).await;
        assert!(code == 401 && answer.to_ascii_lowercase().contains("www-authenticate: bearer"), "{path}");
    }
    for path in ["/", "/livez", "/readyz"] {
        assert_eq!(status(&port, &format!("GET {path}"), &[]).await, 200, "{path}");
    }
    let right = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(status(&port, "GET /metrics", &[&right]).await, 200);
    let basic = format!("Authorization: Basic {TOKEN}");
    assert_eq!(status(&port, "GET /metrics", &[&basic]).await, 401);
    assert_eq!(status(&port, "GET /metrics", &["Cookie: securestack-admin="]).await, 401);
    assert_eq!(status(&port, "GET /metrics", &["Cookie: securestack-admin=00"]).await, 401);
}

async fn log_in(port: &AdminPort, token: &str, kind: &str, more: &str) -> String {
    let body = serde_json::json!({ "token": token }).to_string();
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{more}Connection: \
         close\r\n\r\n{body}",
        port.address().port(),
        body.len()
    );
    raw(port, &request).await
}

#[tokio::test]
async fn a_browser_logs_in_once_and_its_cookie_is_kept_from_scripts_and_other_sites() {
    let (port, _) = open(true).await;
    let answer = log_in(&port, TOKEN, "application/json", "").await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert!(!answer.contains(TOKEN));
    let cookie = format!("Cookie: other=1; {}", cookie.split(';').next().unwrap());
    assert_eq!(status(&port, "GET /api/v1/self", &[&cookie]).await, 200);
    let rebound = status(&port, "GET /api/v1/self", &[&cookie, "Host: evil.example"]).await;
    assert_eq!(rebound, 421, "a cookie stands for no host");
    for (kind, more, expected) in [
        ("application/x-www-form-urlencoded", "", "HTTP/1.1 415"),
        ("text/plain", "", "HTTP/1.1 415"),
        ("application/json", "Origin: https://evil.example\r\n", "HTTP/1.1 403"),
        ("application/json", "Sec-Fetch-Site: cross-site\r\n", "HTTP/1.1 403"),
    ] {
        assert!(log_in(&port, TOKEN, kind, more).await.starts_with(expected), "{kind} {more}");
    }
    let long = log_in(&port, &"x".repeat(10_000), "application/json", "").await;
    assert!(long.starts_with("HTTP/1.1 413"), "{long}");
}

#[tokio::test]
async fn after_ten_guesses_not_even_the_right_token_is_accepted_for_a_while() {
    let (port, _) = open(true).await;
    for number in 0..5 {
        let wrong = format!("Authorization: Bearer wrong-{number}");
        assert_eq!(status(&port, "GET /metrics", &[&wrong]).await, 401);
        let answer = log_in(&port, "wrong", "application/json", "").await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    let right = format!("Authorization: Bearer {TOKEN}");
    let (code, answer) = ask(&port, "GET /metrics", &[&right]).await;
    assert!(code == 429 && answer.to_ascii_lowercase().contains("retry-after: "), "{answer}");
    assert!(log_in(&port, TOKEN, "application/json", "").await.starts_with("HTTP/1.1 429"));
    assert_eq!(status(&port, "GET /livez", &[]).await, 200);
}

#[tokio::test]
async fn ready_says_what_is_missing() {
    let (port, facts) = open(false).await;
    assert_eq!(status(&port, "GET /readyz", &[]).await, 200);
    *facts.obstacles.lock().unwrap() = vec!["database: away".to_owned()];
    let (code, answer) = ask(&port, "GET /readyz", &[]).await;
    assert!(code == 503 && answer.contains("database: away"));
    assert_eq!(status(&port, "GET /livez", &[]).await, 200);
}

#[tokio::test]
async fn the_format_of_metrics_is_what_the_reader_asks_for() {
    let (port, _) = open(false).await;
    let open_metrics = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3";
    for (headers, expected) in [
        (vec![], "Prometheus"),
        (vec!["Accept: text/plain"], "Prometheus"),
        (vec![open_metrics], "OpenMetrics"),
        (vec!["Accept: application/openmetrics-text;q=0"], "Prometheus"),
    ] {
        let (_, answer) = ask(&port, "GET /metrics", &headers).await;
        assert!(answer.ends_with(expected), "{headers:?} {answer}");
    }
}

#[tokio::test]
async fn a_mesh_that_does_not_answer_keeps_nobody_waiting() {
    let (port, _) = open(false).await;
    assert_eq!(status(&port, "GET /api/v1/mesh", &[]).await, 503);
}

#[tokio::test]
async fn those_who_connect_and_say_nothing_keep_nobody_out() {
    let (port, _) = open(false).await;
    let mut silent = Vec::new();
    for number in 0..600 {
        let Ok(mut stream) = TcpStream::connect(port.address()).await else { break };
        // Each begins a request that it never ends.
        let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ").await;
        silent.push(stream);
        if number % 100 == 99 {
            assert_eq!(status(&port, "GET /livez", &[]).await, 200, "after {number}");
        }
    }
    // The first have given way, long before their time was over.
    let mut byte = [0];
    let first = timeout(Duration::from_secs(2), silent[0].read(&mut byte)).await;
    assert!(matches!(first, Ok(Ok(0) | Err(_))), "{first:?}");
}

#[tokio::test]
async fn a_head_that_takes_too_long_or_is_too_large_ends_its_connection() {
    let (port, _) = open(false).await;
    let most = Duration::from_secs(15);
    let answer = timeout(most, raw(&port, "GET /livez HTTP/1.1\r\nHost: ")).await;
    assert!(answer.is_ok(), "the head had no limit of time");
    let large = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    assert!(raw(&port, &large).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    assert!(raw(&port, &many).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn a_stream_that_is_read_tells_what_happens_and_one_that_is_not_holds_nothing_up() {
    let (port, facts) = open(false).await;
    let request = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut unread = TcpStream::connect(port.address()).await.unwrap();
    unread.write_all(request).await.unwrap();
    let mut stream = TcpStream::connect(port.address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    while !facts.tail.is_read() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let event = MeshEvent { text: "x".repeat(300), ..MeshEvent::default() };
    let mut seen = String::new();
    let mut buffer = vec![0; 65_536];
    for _ in 0..60 {
        (0..3_000).for_each(|_| facts.tail.event(&event));
        let read = timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.unwrap().unwrap();
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        if seen.contains("event: gap") {
            break;
        }
    }
    assert!(seen.contains("text/event-stream") && seen.contains("event: event"), "{}", &seen[..500]);
    assert!(
        seen.contains("event: gap\r\n") || seen.contains("event: gap\ndata: {\"type\":\"gap\",\"missed\":")
    );
    assert_eq!(status(&port, "GET /livez", &[]).await, 200);
    drop(unread);
}

#[tokio::test]
async fn there_are_not_more_streams_than_the_limit() {
    let (port, _) = open(false).await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(port.address()).await.unwrap();
        stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        streams.push(stream);
    }
    assert_eq!(status(&port, "GET /api/v1/events", &[]).await, 503);
}

#[tokio::test]
async fn a_taken_port_names_the_option_and_a_closed_one_is_free() {
    let (port, facts) = open(false).await;
    let address = port.address();
    let admin = Admin {
        port: address.port(),
        host: "127.0.0.1".to_owned(),
        token: None,
        hosts: Vec::new(),
        history: None,
        tls: None,
        probes_only: false,
    };
    let error = AdminPort::open(&admin, Arc::clone(&facts) as _).await.unwrap_err();
    assert!(error.to_string().starts_with("admin.port: cannot listen on 127.0.0.1:"), "{error}");
    port.close().await;
    let again = AdminPort::open(&admin, facts).await.unwrap();
    assert_eq!(again.address(), address);
}

#[tokio::test]
async fn a_port_of_probes_has_nothing_else_for_anybody() {
    let facts = Arc::new(Facts::default());
    let mut config = MeshConfig::parse(&serde_json::json!({ "serviceId": "me" }), |_| None).unwrap();
    config.add_probes("127.0.0.1", 0).unwrap();
    let port = AdminPort::open(config.admin.as_ref().unwrap(), Arc::clone(&facts) as _).await.unwrap();
    assert_eq!(status(&port, "GET /livez", &[]).await, 200);
    assert!([200, 503].contains(&status(&port, "GET /readyz", &[]).await));
    for path in ["/", "/metrics", "/api/v1/self", "/api/v1/events", "/livez/", "/%2e/livez"] {
        assert_eq!(status(&port, &format!("GET {path}"), &[]).await, 404, "{path}");
    }
    // A second one, and no host.
    assert!(config.add_probes("127.0.0.1", 0).unwrap_err().to_string().contains("admin"));
    let mut other = MeshConfig::parse(&serde_json::json!({ "serviceId": "me" }), |_| None).unwrap();
    assert!(other.add_probes("http://a", 0).unwrap_err().to_string().starts_with("probes.host must be"));
}
