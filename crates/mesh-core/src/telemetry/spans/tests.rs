use super::*;

const NOW: Duration = Duration::from_secs(1);
const SAMPLED: &str = r#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#;

fn start(kind: SpanKind) -> SpanStart<'static> {
    let (flow, trust) = (FlowKind::Unary, "");
    SpanStart { kind, callee: "orders", peer: "shop", method: "get", flow, trust, attempt: 1 }
}

fn value<'a>(span: &'a Span, name: &str) -> Option<&'a SpanValue> {
    span.attributes.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
}

fn ended(tracer: &Tracer, kind: SpanKind, code: Code, reason: &str) -> Span {
    let (span, _) = tracer.begin(start(kind), SAMPLED.as_bytes(), NOW);
    let end = SpanEnd { code, reason, message: "no\n", error_id: "" };
    tracer.end(*span.unwrap(), Some(end), 2 * NOW);
    tracer.take().pop().unwrap()
}

#[test]
fn the_decision_of_the_parent_is_followed_whatever_the_share_is() {
    let never = Tracer::new(0.0);
    let (span, changed) = never.begin(start(SpanKind::Client), SAMPLED.as_bytes(), NOW);
    let (above, own) =
        (TraceContext::of(SAMPLED.as_bytes()).unwrap(), TraceContext::of(&changed.unwrap()).unwrap());
    assert_eq!((own.trace, own.sampled), (above.trace, true));
    assert_ne!(own.span, above.span);
    never.end(*span.unwrap(), None, 2 * NOW);
    let span = never.take().pop().unwrap();
    assert_eq!((span.context, span.parent), (own, Some(above.span)));

    let always = Tracer::new(1.0);
    let unsampled = SAMPLED.replace("-01\"", "-00\"");
    let (span, changed) = always.begin(start(SpanKind::Client), unsampled.as_bytes(), NOW);
    assert!(span.is_none() && changed.is_none());
}

#[test]
fn a_new_trace_is_recorded_by_its_share_and_others_hear_the_decision() {
    let tracer = Tracer::new(0.25);
    let mut recorded = 0;
    for _ in 0..4_000 {
        let (span, changed) = tracer.begin(start(SpanKind::Client), b"", NOW);
        let context = TraceContext::of(&changed.unwrap()).unwrap();
        assert_eq!(context.sampled, span.is_some());
        recorded += usize::from(span.is_some());
    }
    // Twelve standard deviations.
    assert!((670..1_330).contains(&recorded), "{recorded}");
}

#[test]
fn ids_are_never_the_same() {
    let tracer = Tracer::new(0.0);
    let seen: std::collections::HashSet<_> = (0..10_000)
        .flat_map(|_| {
            let context = tracer.below(None);
            [context.trace[..8].to_vec(), context.trace[8..].to_vec(), context.span.to_vec()]
        })
        .collect();
    assert_eq!(seen.len(), 30_000);
}

#[test]
fn the_queue_is_bounded_and_the_rest_is_counted() {
    let tracer = Tracer::new(1.0);
    for _ in 0..MAX_WAITING + 10 {
        let (span, _) = tracer.begin(start(SpanKind::Client), b"", NOW);
        tracer.end(*span.unwrap(), None, NOW);
    }
    assert_eq!(tracer.counts().1[0], (Dropped::QueueFull, 10));
    let mut taken = 0;
    loop {
        let batch = tracer.take().len();
        assert!(batch <= BATCH);
        taken += batch;
        if batch == 0 {
            break;
        }
    }
    assert_eq!(taken, MAX_WAITING);
}

#[test]
fn a_failure_is_the_services_where_the_code_says_so() {
    let tracer = Tracer::new(1.0);
    let own = ended(&tracer, SpanKind::Server, Code::Internal, "HANDLER");
    assert_eq!(own.error.as_deref(), Some(r"no\n"));
    assert_eq!(value(&own, ERROR_TYPE), Some(&word("INTERNAL")));
    let callers = ended(&tracer, SpanKind::Server, Code::NotFound, "NO_ORDER");
    assert_eq!((callers.error.as_deref(), value(&callers, ERROR_TYPE)), (None, None));
    assert_eq!(value(&callers, STATUS_CODE), Some(&word("NOT_FOUND")));
    let seen = ended(&tracer, SpanKind::Client, Code::NotFound, "NO_ORDER");
    assert!(seen.error.is_some() && value(&seen, REASON) == Some(&word("NO_ORDER")));
}

#[test]
fn a_method_that_does_not_exist_names_no_span() {
    let span = ended(&Tracer::new(1.0), SpanKind::Server, Code::Unimplemented, "METHOD_NOT_FOUND");
    assert_eq!(span.name, "securestack");
    assert_eq!(value(&span, METHOD), Some(&word(OTHER)));
    assert_eq!(value(&span, METHOD_ORIGINAL), Some(&word("orders/get")));
}
