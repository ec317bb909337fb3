//! The table of codes and reasons, from their declarations in the core.

use std::fmt::Write as _;

use crate::{
    codegen::Generated,
    core::error::{Code, Reason, Retry},
};

const PAGE: &str = "docs/errors.md";

const INTRODUCTION: &str = "\
# Codes and reasons

<!-- Generated from crates/mesh-core/src/error.rs by `cargo run -p xtask -- codegen`. Do not edit. -->

Every error of this package is a `MeshError`. Its `code` is one of the sixteen of gRPC; its `reason` says
which failure exactly, and stays the same between versions. An error that has no reason of its own has its
code as its reason. A declared error of a contract has its name as its reason. See
[the guide to errors](guides/errors.md).

";

const RETRY: &str = "
`retryable` in the table: **no**, something has to be mended first; **yes**, the same call can succeed
later; **if it never ran**, the error's own `retryable` says whether the request can have reached its handler.
";

/// Generates the page.
pub(crate) fn generate() -> Generated {
    let mut page = String::from(INTRODUCTION);
    page.push_str("## Codes\n\n| code | number | means |\n|---|--:|---|\n");
    for code in Code::ALL {
        row(&mut page, &[&format!("`{code}`"), &(code as u8).to_string(), code.meaning()]);
    }
    page.push_str("\n## Reasons\n");
    page.push_str(RETRY);
    page.push_str("\n| reason | means | code | what to do | retryable |\n|---|---|---|---|---|\n");
    let mut reasons = Reason::ALL.to_vec();
    reasons.sort_unstable_by_key(|reason| reason.as_str());
    for reason in reasons {
        let codes: Vec<_> = reason.codes().iter().map(|code| format!("`{code}`")).collect();
        let codes = if codes.is_empty() { "any".to_owned() } else { codes.join(", ") };
        let retry = match reason.retry() {
            Retry::Never => "no",
            Retry::Later => "yes",
            Retry::IfNotRun => "if it never ran",
        };
        let name = format!("`{reason}`");
        row(&mut page, &[&name, reason.meaning(), &codes, reason.remedy(), retry]);
    }
    Generated { path: PAGE, content: page.into_bytes() }
}

fn row(page: &mut String, cells: &[&str]) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}
