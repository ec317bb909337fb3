//! Records, tokens and messages of a member that breaks the protocol.

use super::*;

#[tokio::test]
async fn a_replayed_record_reaches_no_handler() {
    let (server, mut raw, healthy) = stage(json!({})).await;
    let record = raw.request(&raw.good_token());
    raw.send(record.clone()).await;
    assert!(raw.answer().await.unwrap().is_ok());
    let handled = server.app.handled.load(Ordering::SeqCst);
    raw.send(record).await;
    eventually(async || server.logged(Reason::Replay)).await;
    assert_eq!(server.app.handled.load(Ordering::SeqCst), handled);
    raw.works().await;
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn forged_records_are_discarded_and_the_ninth_ends_the_session() {
    let (server, mut raw, healthy) = stage(json!({})).await;
    let good = raw.request(&raw.good_token());
    for position in [0, 5, 9, 16, 30, good.len() - 40, good.len() - 20, good.len() - 1] {
        let mut forged = good.clone();
        forged[position] ^= 1;
        raw.send(forged).await;
    }
    raw.send(good).await;
    assert_eq!(raw.answer().await, Some(Ok(b"raw".to_vec())), "eight forgeries later");
    assert_eq!(server.stats().await.records_discarded, 8);
    raw.send(vec![0; 100]).await;
    raw.is_over().await;
    Raw::connect(&server).await.works().await;
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn a_lost_record_ends_the_session() {
    let (server, mut raw, healthy) = stage(json!({})).await;
    raw.request(&raw.good_token()); // sealed and never sent
    let next = raw.request(&raw.good_token());
    raw.send(next).await;
    raw.is_over().await;
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn hostile_tokens_fail_their_request_only() {
    let (server, mut raw, healthy) = stage(json!({})).await;
    let tokens = [
        (String::new(), "JWT_FORMAT"),
        ("a.b".to_owned(), "JWT_FORMAT"),
        (raw.token(TokenType::Handshake, |_| {}), "JWT_TYP"),
        (raw.token(TokenType::Request, |wrong| wrong.aud = "other".to_owned()), "JWT_AUD"),
        (raw.token(TokenType::Request, |wrong| wrong.iss = "client".to_owned()), "JWT_ISS"),
        (
            raw.token(TokenType::Request, |wrong| wrong.session = crate::id::SessionId::from_bytes([0; 16])),
            "JWT_SID",
        ),
        (raw.token(TokenType::Request, |wrong| wrong.jkt = "x".repeat(43)), "JWT_CNF"),
        (raw.token(TokenType::Request, |wrong| wrong.key = *raw.opener.token_key().as_bytes()), "JWT_SIG"),
        (raw.token(TokenType::Request, |wrong| wrong.key = [0; 32]), "JWT_SIG"),
    ];
    for (token, reason) in tokens {
        let record = raw.request(&token);
        raw.send(record).await;
        let told = raw.answer().await.expect("the session goes on").unwrap_err();
        assert_eq!(told, reason);
        raw.works().await;
    }
    let failed = server.stats().await.requests_failed;
    assert_eq!(failed, 9);
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn a_token_of_another_time_ends_its_session_and_no_request_runs() {
    for shift in [-4_000_000_i64, 3_600_000] {
        let (server, mut raw, healthy) = stage(json!({})).await;
        let handled = server.app.handled.load(Ordering::SeqCst);
        let token = raw.token(TokenType::Request, |wrong| {
            wrong.issued = Timestamp::from_millis(wrong.issued.as_millis().saturating_add_signed(shift));
        });
        let record = raw.request(&token);
        raw.send(record).await;
        // A goaway names the call before it; then the session ends.
        raw.is_over().await;
        assert_eq!(server.app.handled.load(Ordering::SeqCst), handled);
        is_healthy(&server, &healthy).await;
    }
}

#[tokio::test]
async fn a_former_epochs_token_is_refused_and_rekeys_lose_no_call() {
    let (server, mut raw, healthy) = stage(json!({})).await;
    let old = raw.good_token();
    raw.works().await;
    let mut rekey = BytesMut::new();
    raw.sealer.rekey(Timestamp::now(), &mut rekey).unwrap();
    raw.send(rekey.freeze()).await;
    let record = raw.request(&old);
    raw.send(record).await;
    assert_eq!(raw.answer().await, Some(Err("JWT_SIG".to_owned())));
    raw.works().await;
    for _ in 0..8 {
        let mut flood = BytesMut::new();
        raw.sealer.rekey(Timestamp::now(), &mut flood).unwrap();
        raw.send(flood.freeze()).await;
    }
    raw.is_over().await;
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn messages_of_the_wrong_side_or_twice_end_the_session() {
    let server_only = Encoded::response(1, b"", Payload::EMPTY).unwrap();
    let (server, mut raw, healthy) = stage(json!({})).await;
    let reflected = raw.record(&server_only, "");
    raw.send(reflected).await;
    raw.is_over().await;

    let mut raw = Raw::connect(&server).await;
    raw.works().await;
    let again = raw.request_as(1, &raw.good_token());
    raw.send(again).await;
    raw.is_over().await;

    let mut raw = Raw::connect(&server).await;
    let mut junk = BytesMut::new();
    raw.sealer.seal(&mut junk, |out| out.extend_from_slice(&[200; 40])).unwrap();
    raw.send(junk.freeze()).await;
    raw.is_over().await;
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn frames_that_lie_about_their_size_are_refused() {
    let (server, mut raw, healthy) = stage(json!({ "limits": { "maxMessageBytes": 4096 } })).await;
    raw.send(Bytes::new()).await;
    eventually(async || server.stats().await.records_discarded == 1).await;
    raw.works().await;
    let mut huge = raw.request(&raw.good_token());
    huge[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
    raw.send(huge).await;
    eventually(async || server.stats().await.records_discarded == 2).await;
    let mut raw = Raw::connect(&server).await;
    raw.send(vec![1; 4096 + 256 * 1024]).await; // beyond the frame limit
    raw.is_over().await;
    // An authentic request beyond the limit fails alone.
    let mut raw = Raw::connect(&server).await;
    let payload = Payload { encoding: Encoding::Raw, bytes: &[0; 4097] };
    let large = Encoded::request("echo", None, RequestFields::default(), payload).unwrap().with_call(1);
    let record = raw.record(&large, &raw.good_token());
    raw.calls = 1;
    raw.send(record).await;
    assert_eq!(raw.answer().await, Some(Err("TOO_LARGE".to_owned())));
    raw.works().await;
    is_healthy(&server, &healthy).await;
}
