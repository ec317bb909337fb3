//! Traces as examples on a page of `OpenMetrics`: the encoder takes none that it has not counted itself, so they are
//! added to its lines.

use std::fmt::Write;

use super::{
    flows::FlowFigures,
    histogram::{BUCKETS, Exemplar},
};

/// Adds the examples of flows to the lines of their histograms, which are in the same order.
pub(super) fn add(page: &str, metrics: [(&str, &[FlowFigures]); 2]) -> String {
    let mut buckets = metrics.map(|(name, flows)| (format!("{name}_bucket{{"), examples(flows)));
    let mut out = String::with_capacity(page.len());
    for line in page.lines() {
        out.push_str(line);
        let metric = buckets.iter_mut().find(|(start, _)| line.starts_with(start.as_str()));
        if let Some(Exemplar { trace, took, at }) = metric.and_then(|(_, examples)| examples.next().flatten())
        {
            let (trace, took) = (hex::encode(trace), took.as_secs_f64());
            // Writing to a `String` cannot fail.
            let _ = write!(out, " # {{trace_id=\"{trace}\"}} {took} {}.{:03}", at / 1_000, at % 1_000);
        }
        out.push('\n');
    }
    out
}

fn examples(flows: &[FlowFigures]) -> impl Iterator<Item = Option<Exemplar>> {
    flows
        .iter()
        .flat_map(|flow| &flow.exemplars)
        .flat_map(|one: &[Option<Exemplar>; BUCKETS]| one.iter().copied())
}
