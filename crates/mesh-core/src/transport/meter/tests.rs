use std::{collections::VecDeque, future::poll_fn};

use proptest::prelude::*;
use tokio::time::{advance, timeout};

use super::*;
use crate::budget::Budget;

/// A stream in pieces; it does not end if it `stays`.
struct Pieces {
    pieces: VecDeque<Bytes>,
    stays: bool,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Status>>> {
        match self.pieces.pop_front() {
            None if self.stays => Poll::Pending,
            piece => Poll::Ready(piece.map(|piece| Ok(BodyFrame::data(piece)))),
        }
    }
}

fn frame(len: usize) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend_from_slice(&(len as u32).to_be_bytes());
    frame.resize(5 + len, 7);
    frame
}

fn metered(bytes: Vec<u8>, piece: usize, stays: bool) -> (Metered, Meter) {
    let mut bytes = Bytes::from(bytes);
    let mut pieces = VecDeque::new();
    while !bytes.is_empty() {
        pieces.push_back(bytes.split_to(piece.min(bytes.len())));
    }
    let meter = Meter::default();
    (Metered::new(Body::new(Pieces { pieces, stays }), meter.clone()), meter)
}

/// The next bytes that pass.
async fn next(body: &mut Metered) -> Option<Result<Bytes, Status>> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap()))
}

fn account(budget: &Budget) -> Arc<Account> {
    budget.session(&"peer".parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_large_frame_waits_for_room_and_small_ones_before_it_pass() {
    let budget = Budget::new(1 << 20);
    let (mut body, meter) = metered([frame(10), frame(200_000), frame(5)].concat(), usize::MAX, false);
    let session = account(&budget);
    meter.open(&session);
    let others = session.charge(300_000);
    // All but the last byte of the large frame's header.
    assert_eq!(next(&mut body).await.unwrap().unwrap().len(), 15 + 4);
    assert!(timeout(PATIENCE / 2, next(&mut body)).await.is_err(), "there is no room");
    assert_eq!(budget.figures().refused, 0, "a frame that waits is not refused");
    drop(others);
    assert_eq!(next(&mut body).await.unwrap().unwrap().len(), 1 + 200_000 + 10);
    assert_eq!(budget.figures().used, 200_000);
    meter.release_before(1);
    assert_eq!(budget.figures().used, 200_000, "the frame is not processed yet");
    meter.release_before(2);
    assert_eq!(budget.figures().used, 0);
    assert!(next(&mut body).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_frame_for_which_there_is_no_room_in_time_ends_the_stream() {
    let budget = Budget::new(1 << 20);
    let (mut body, meter) = metered(frame(200_000), 5, false);
    let session = account(&budget);
    meter.open(&session);
    let _others = session.charge(300_000);
    assert_eq!(next(&mut body).await.unwrap().unwrap().len(), 4);
    let started = Instant::now();
    assert!(next(&mut body).await.unwrap().is_err());
    assert!((PATIENCE..PATIENCE + 2 * TICK).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(meter.fault(), Some(FrameFault::NoRoom));
}

#[tokio::test(start_paused = true)]
async fn a_large_frame_that_does_not_end_ends_the_stream_and_holds_nothing() {
    let budget = Budget::new(1 << 20);
    let (mut body, meter) = metered(frame(200_000)[..1000].to_vec(), usize::MAX, true);
    meter.open(&account(&budget));
    for len in [4, 996] {
        assert_eq!(next(&mut body).await.unwrap().unwrap().len(), len);
    }
    assert_eq!(budget.figures().used, 200_000);
    assert!(timeout(FRAME_TIME, next(&mut body)).await.is_err());
    advance(Duration::from_secs(5)).await;
    assert!(next(&mut body).await.unwrap().is_err());
    assert_eq!(meter.fault(), Some(FrameFault::Unfinished));
    drop((body, meter));
    assert_eq!(budget.figures().used, 0);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_ended_has_no_time_limit_any_more() {
    let budget = Budget::new(1 << 20);
    let (mut body, meter) = metered([frame(200_000), vec![0; 3]].concat(), usize::MAX, true);
    meter.open(&account(&budget));
    while timeout(2 * FRAME_TIME, next(&mut body)).await.is_ok_and(|next| next.unwrap().is_ok()) {}
    assert_eq!(meter.fault(), None);
}

#[tokio::test]
async fn a_stream_without_a_session_has_no_large_frames() {
    let (mut body, meter) = metered(frame(BEFORE_SESSION), usize::MAX, false);
    assert_eq!(next(&mut body).await.unwrap().unwrap().len(), 5 + BEFORE_SESSION);
    assert_eq!(meter.fault(), None);
    let (mut body, meter) = metered(frame(BEFORE_SESSION + 1), usize::MAX, false);
    assert_eq!(next(&mut body).await.unwrap().unwrap().len(), 4);
    assert!(next(&mut body).await.unwrap().is_err());
    assert_eq!(meter.fault(), Some(FrameFault::BeforeSession));
}

proptest! {
    #[test]
    fn every_byte_passes_in_order_and_each_large_frame_is_charged_until_it_is_dealt_with(
        lens in prop::collection::vec(prop_oneof![0..300_usize, 90_000..120_000_usize], 0..12),
        piece in 1..40_000_usize,
    ) {
        let bytes = lens.iter().flat_map(|len| frame(*len)).collect::<Vec<_>>();
        let budget = Budget::new(64 << 20);
        let (mut body, meter) = metered(bytes.clone(), piece, false);
        meter.open(&account(&budget));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let passed = runtime.block_on(async {
            let mut passed = Vec::new();
            while let Some(next) = next(&mut body).await {
                passed.extend_from_slice(&next.unwrap());
            }
            passed
        });
        prop_assert!(passed == bytes);
        for number in 0..=lens.len() {
            meter.release_before(number as u64);
            let left: usize = lens[number..].iter().filter(|len| **len > SMALL).sum();
            prop_assert_eq!(budget.figures().used, left);
        }
    }
}
