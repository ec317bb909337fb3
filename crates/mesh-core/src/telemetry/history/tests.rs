use super::*;
use crate::telemetry::{histogram::BUCKETS, picture::Edge, report::Figures};

const HOUR: u64 = 3_600_000;

fn picture(at: u64, total: u64, failed: u64) -> MeshPicture {
    // Each call takes between 1 and 2.5 ms.
    let buckets = (0..BUCKETS).map(|bucket| if bucket >= 4 { total } else { 0 }).collect();
    let figures = Figures { total, failed, buckets, ..Figures::default() };
    let edge = Edge { from: "a".to_owned(), to: "b".to_owned(), figures, ..Edge::default() };
    MeshPicture { at, edges: vec![edge], ..MeshPicture::default() }
}

fn event(at: u64, text: &str) -> MeshEvent {
    MeshEvent { at, text: text.to_owned(), ..MeshEvent::default() }
}

#[test]
fn points_are_what_happened_between_two_pictures() {
    let mut history = History::default();
    history.add(&picture(1_000_000, 100, 0));
    history.add(&picture(1_010_000, 300, 50));
    let view = history.view(1_010_000, HOUR, STEP_MS);
    let series = &view.series[0];
    assert_eq!((series.at.as_slice(), series.rate[0], series.failures[0]), (&[1_010_000][..], 20.0, 5.0));
    assert!((series.p50[0] - 1.75).abs() < 0.01 && series.p99[0] < 2.5, "{series:?}");
    history.add(&picture(1_020_000, 5, 0));
    history.add(&picture(1_030_000, 15, 0));
    let view = history.view(1_030_000, HOUR, STEP_MS);
    assert_eq!(view.series[0].rate, [20.0, 1.0], "a start anew is no negative rate");
}

#[test]
fn an_hour_is_kept_and_steps_are_put_together() {
    let mut history = History::default();
    for step in 0..1_000 {
        history.add(&picture(1_000_000 + step * STEP_MS, step * 100, 0));
    }
    let now = 1_000_000 + 999 * STEP_MS;
    let all = history.view(now, u64::MAX, STEP_MS);
    assert_eq!((all.series[0].at.len(), all.span_ms), (360, HOUR));
    let minutes = history.view(now, 600_000, 60_000);
    assert_eq!((minutes.step_ms, minutes.series[0].at.len()), (60_000, 11));
    assert!((minutes.series[0].rate[3] - 10.0).abs() < 0.01);
    history.add(&MeshPicture { at: now + 4_000_000, ..MeshPicture::default() });
    assert!(history.tracks.is_empty(), "what is older than an hour is gone");
}

#[test]
fn a_week_comes_in_the_distance_of_its_window_and_back_from_its_blocks() {
    let mut history = History::of_a_week();
    let start = 1_800_000_000_000;
    let steps = 7 * 24 * 360;
    for step in 0..=steps {
        history.add(&picture(start + step * STEP_MS, step * 100, step * 5));
    }
    let now = start + steps * STEP_MS;
    history.note(vec![event(start, "old"), event(now, "new"), event(now, "new"), event(now, "newer")]);
    let mut restored = History::of_a_week();
    history.blocks(0).iter().for_each(|block| restored.restore(block, now));
    restored.settle(now);
    for history in [&history, &restored] {
        for (window, step, most) in
            [(HOUR, 10_000, 360), (24 * HOUR, 300_000, 289), (168 * HOUR, 1_800_000, 337)]
        {
            let view = history.view(now, window, 1);
            let series = &view.series[0];
            assert_eq!((view.step_ms, view.span_ms), (step, 168 * HOUR));
            assert!((most - 2..=most + 1).contains(&series.at.len()), "{} of {most}", series.at.len());
            assert!(series.rate.iter().all(|rate| (rate - 10.0).abs() < 0.01));
            assert!(series.failures.iter().all(|rate| (rate - 0.5).abs() < 0.01));
        }
        let texts: Vec<_> = history.events.iter().map(|event| event.text.as_str()).collect();
        assert_eq!(texts, ["old", "new", "newer"]);
    }
    assert_eq!(history.view(now, HOUR, 1), restored.view(now, HOUR, 1));
    assert_eq!(history.blocks(now - 60_000).iter().map(Vec::len).sum::<usize>(), {
        let (points, name) = (6 * 24 + 24 + 24, 1 + 2 + 2 + 2);
        let texts = history.blocks(now - 1).iter().map(Vec::len).sum::<usize>() - (3 * name + 3 * 24);
        points + 3 * name + texts
    });
    let later = now + 8 * 24 * HOUR;
    let mut late = History::of_a_week();
    history.blocks(0).iter().for_each(|block| late.restore(block, later));
    late.settle(later);
    assert!(late.tracks.is_empty() && late.events.is_empty(), "what is older than a week is gone");
}

#[test]
fn bytes_of_anything_are_taken_for_nothing() {
    let mut history = History::of_a_week();
    let now = 1_800_000_000_000;
    (0..=30).for_each(|step| history.add(&picture(now - 300_000 + step * STEP_MS, step * 10, 0)));
    let block = history.blocks(0).remove(0);
    let mut state = 7_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    for _ in 0..5_000 {
        let mut bytes = block.clone();
        for _ in 0..=random() % 8 {
            let at = random() as usize % bytes.len();
            bytes[at] = random() as u8;
        }
        bytes.truncate(random() as usize % (bytes.len() + 1));
        let mut restored = History::of_a_week();
        restored.restore(&bytes, now);
        restored.settle(now);
        let view = restored.view(now, 168 * HOUR, 1);
        let figures = view.series.iter().flat_map(|series| series.rate.iter().chain(&series.p99));
        assert!(figures.into_iter().all(|figure| figure.is_finite() && *figure >= 0.0));
        assert!(view.series.iter().all(|series| series.from.parse::<ServiceId>().is_ok()));
    }
}

fn edges(from: &str, count: usize) -> Vec<Edge> {
    let edge =
        |number: usize| Edge { from: from.to_owned(), to: format!("{from}-{number}"), ..Edge::default() };
    (0..count).map(edge).collect()
}

#[test]
fn the_number_of_edges_is_bounded_and_a_liar_displaces_its_own() {
    let mut history = History::default();
    history.add(&MeshPicture { at: 1_000_000, edges: edges("liar", 5_000), ..MeshPicture::default() });
    assert_eq!(history.tracks.len(), MAX_EDGES);
    history.add(&MeshPicture { at: 1_010_000, edges: edges("honest", 50), ..MeshPicture::default() });
    assert_eq!(history.tracks.len(), MAX_EDGES);
    let of = |history: &History, name: &str| history.tracks.keys().filter(|(from, _)| from == name).count();
    assert_eq!(of(&history, "honest"), 50);
    let both = [edges("liar", 5_000), edges("honest", 50)].concat();
    history.add(&MeshPicture { at: 1_020_000, edges: both, ..MeshPicture::default() });
    assert_eq!(of(&history, "honest"), 50, "the liar does not get its room back");
}

#[test]
fn the_number_of_events_is_bounded() {
    let mut history = History::default();
    for at in 1..=3_000 {
        history.note(vec![event(at, "x")]);
    }
    assert_eq!((history.events.len(), history.events[0].at), (MAX_EVENTS, 1_001));
}

#[test]
fn events_of_the_past_come_before_those_that_were_noted_meanwhile() {
    let mut past = History::default();
    past.note((1..=MAX_EVENTS as u64).map(|at| event(at, "past")).collect());
    let mut history = History::default();
    let now = 10_000;
    history.note(vec![event(now, "start")]);
    for _ in 0..2 {
        past.blocks(0).iter().for_each(|block| history.restore(block, now));
        let (first, last) = (&history.events[0], &history.events[MAX_EVENTS - 1]);
        assert_eq!((history.events.len(), first.at, last.text.as_str()), (MAX_EVENTS, 2, "start"));
    }
}
