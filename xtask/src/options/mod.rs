//! The options of a mesh: their types in JavaScript, and the page about them.

#[macro_use]
pub(crate) mod table;
mod typescript;

#[path = "../../../crates/mesh-core/src/config"]
mod config {
    pub(crate) mod accepted;
    pub(crate) mod admin;
    pub(crate) mod admin_tls;
    pub(crate) mod authorization;
    pub(crate) mod balancing;
    pub(crate) mod bulkhead;
    pub(crate) mod caller_place;
    pub(crate) mod certificate;
    pub(crate) mod concurrency;
    pub(crate) mod conditions;
    pub(crate) mod consul_provider;
    pub(crate) mod discovery;
    pub(crate) mod dns_provider;
    pub(crate) mod ejection;
    pub(crate) mod enrolment;
    pub(crate) mod etcd_provider;
    pub(crate) mod file_provider;
    pub(crate) mod kubernetes_provider;
    pub(crate) mod limits;
    pub(crate) mod paths;
    pub(crate) mod root;
    pub(crate) mod rules;
    pub(crate) mod security;
    pub(crate) mod services;
    pub(crate) mod tls;
    pub(crate) mod tracing;
}

use std::{fs, path::Path};

use self::{
    table::{Fallback, Row, Section},
    typescript::{Member, interface, without_default},
};
use crate::{Failure, codegen::Generated};

const TYPES: &str = "js/mesh/options.ts";
const PAGE: &str = "docs/options.md";

/// Sections with the paths of their options.
const SECTIONS: [(&str, Section); 26] = [
    ("", config::root::SECTION),
    ("security.", config::security::SECTION),
    ("security.certificate.", config::certificate::SECTION),
    ("security.tls.", config::tls::SECTION),
    ("security.certificate.authority.", config::enrolment::SECTION),
    ("security.accept[].", config::accepted::SECTION),
    ("discovery.", config::discovery::SECTION),
    ("discovery.services[].", config::services::SECTION),
    ("discovery.", config::file_provider::SECTION),
    ("discovery.", config::dns_provider::SECTION),
    ("discovery.", config::etcd_provider::SECTION),
    ("discovery.", config::consul_provider::SECTION),
    ("discovery.", config::kubernetes_provider::SECTION),
    ("authorization.", config::authorization::SECTION),
    ("authorization.rules[].", config::rules::SECTION),
    ("authorization.rules[].when.", config::conditions::SECTION),
    ("balancing.", config::balancing::SECTION),
    ("balancing.caller.", config::caller_place::SECTION),
    ("balancing.ejection.", config::ejection::SECTION),
    ("resilience.bulkhead.", config::bulkhead::SECTION),
    ("resilience.concurrency.", config::concurrency::SECTION),
    ("admin.", config::admin::SECTION),
    ("admin.tls.", config::admin_tls::SECTION),
    ("tracing.", config::tracing::SECTION),
    ("paths.", config::paths::SECTION),
    ("limits.", config::limits::SECTION),
];

/// The interface and file of the options that the core does not read.
const CONFIG: (&str, &str) = ("MeshConfig", "js/mesh/types.ts");
/// The types of these options, and the files of their declarations.
const INTERFACES: [(&str, &str); 5] = [
    ("RateLimiterConfig", "js/resilience/rate-limiter.ts"),
    ("SharedQuotaConfig", "js/resilience/shared-quota.ts"),
    ("CircuitBreakerConfig", "js/resilience/circuit-breaker.ts"),
    ("RetryPolicyConfig", "js/resilience/retry-policy.ts"),
    ("IdempotencyConfig", "js/incoming/idempotency-limits.ts"),
];

/// Generates the files.
pub(crate) fn generate(root: &Path) -> Result<[Generated; 2], Failure> {
    Ok([
        Generated { path: TYPES, content: types().into_bytes() },
        Generated { path: PAGE, content: page(root)?.into_bytes() },
    ])
}

const TYPES_INTRODUCTION: &str = "\
// The options that the core reads. Generated from the tables in
// `crates/mesh-core/src/config` by `cargo run -p xtask -- codegen`. Do not edit.

import type { Duration } from '../base/values.js';
import type { AdvertisedAddress, ProviderOption } from '../discovery/provider.js';
";

/// Generates the TypeScript types.
fn types() -> String {
    let mut file = TYPES_INTRODUCTION.to_owned();
    for (_, section) in &SECTIONS {
        file.push('\n');
        comment(&mut file, "", &table::joined(section.doc));
        put!(file, "export interface {} {{\n", section.interface);
        for row in section.rows {
            let Some(ts) = row.ts else { continue };
            comment(&mut file, "  ", &documentation(row));
            if matches!(row.default, Fallback::Required) {
                put!(file, "  {}: {ts};\n", row.key);
            } else {
                put!(file, "  {}?: {ts} | undefined;\n", row.key);
            }
        }
        file.push_str("}\n");
    }
    let providers = SECTIONS.iter().map(|(_, section)| section).filter(|section| provider(section).is_some());
    let providers: Vec<_> = providers.map(|section| section.interface).collect();
    put!(file, "\n/** A source of instances of the package, with its options. */\n");
    put!(file, "export type BuiltInProvider =\n  | {};\n", providers.join("\n  | "));
    file.push_str(DISCOVERY);
    file.push_str("\n/** The limits without configuration. */\nexport const LIMITS = {\n");
    for row in config::limits::SECTION.rows {
        if let Some(number) = row.default.number() {
            put!(file, "  {}: {number},\n", row.key);
        }
    }
    file.push_str("} as const;\n\n/** The sections whose options JavaScript declares. */\n");
    let own = config::root::SECTION.rows.iter().filter(|row| row.ts.is_none());
    let own: Vec<_> = own.map(|row| format!("'{}'", row.key)).collect();
    // One line, as long as it is no longer than prettier has it.
    put!(file, "export const OWN_SECTIONS = [{}] as const;\n", own.join(", "));
    file
}

/// The type of the options of discovery, which include those of a provider.
const DISCOVERY: &str = "
/** The options of discovery. With a source of instances of the package, its options are among them. */
export type DiscoveryOptions =
  DiscoveryConfig | (Omit<DiscoveryConfig, 'provider' | 'providers'> & BuiltInProvider);
";

/// Returns the name of the provider whose options a section has, with its quotes.
fn provider(section: &Section) -> Option<&'static str> {
    section.rows.iter().find(|row| row.key == "provider")?.ts.filter(|ts| ts.starts_with('\''))
}

/// Returns the comment of an option.
fn documentation(row: &Row) -> String {
    let mut text = row.text();
    if let Some(variable) = row.variable {
        put!(text, " Environment: `{variable}`.");
    }
    let default = row.default.text();
    if !default.is_empty() {
        put!(text, " Default: {default}.");
    }
    text
}

/// Writes a comment in lines of at most 100 columns.
fn comment(file: &mut String, indent: &str, text: &str) {
    if indent.len() + text.len() + "/**  */".len() <= 100 {
        put!(file, "{indent}/** {text} */\n");
        return;
    }
    put!(file, "{indent}/**\n");
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && indent.len() + " * ".len() + line.len() + 1 + word.len() > 100 {
            put!(file, "{indent} * {line}\n");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    put!(file, "{indent} * {line}\n{indent} */\n");
}

const PAGE_INTRODUCTION: &str = "\
# Options

<!-- Generated by `cargo run -p xtask -- codegen`, from the tables in crates/mesh-core/src/config and from the types in js/. Do not edit. -->

All options of `new SecureMesh(options)`. An option that does not exist is an error, which suggests the nearest
one that does. A duration is a number of milliseconds or a string such as `'15m'`, `'1h'` or `'30d'`.
";

/// Generates the page about the options.
fn page(root: &Path) -> Result<String, Failure> {
    let mut page = PAGE_INTRODUCTION.to_owned();
    for (prefix, section) in &SECTIONS {
        let title = prefix.trim_end_matches('.');
        if let Some(provider) = provider(section) {
            put!(page, "\n## `{title}` with `provider: {provider}`\n\n{}\n", table::joined(section.doc));
        } else if title.is_empty() {
            page.push_str("\n## The service\n");
        } else {
            put!(page, "\n## `{title}`\n\n{}\n", table::joined(section.doc));
        }
        page.push_str("\n| option | default | meaning |\n|---|---|---|\n");
        for row in section.rows.iter().filter(|row| row.ts.is_some() && !row.is_deprecated()) {
            // A section has a table of its own.
            if SECTIONS.iter().any(|(other, _)| *other == format!("{prefix}{}.", row.key)) {
                continue;
            }
            let (text, default) = without_default(&row.text());
            let default = match row.default {
                Fallback::Required => "required".to_owned(),
                _ if default.is_empty() => row.default.text(),
                _ => default,
            };
            put_row(&mut page, &format!("{prefix}{}", row.key), &default, &text);
        }
    }

    page.push_str("\n## Logger, resilience, monitoring, rotation\n");
    page.push_str("\n| option | default | meaning |\n|---|---|---|\n");
    put_members(&mut page, root, "", &declared(root, CONFIG)?)?;

    page.push_str("\n## Environment variables\n\nA variable stands in where its option is absent. An empty variable counts as unset.\n");
    page.push_str("\n| variable | option |\n|---|---|\n");
    for (prefix, section) in &SECTIONS {
        for row in section.rows {
            if let Some(variable) = row.variable {
                put!(page, "| `{variable}` | `{prefix}{}` |\n", row.key);
            }
        }
    }
    Ok(page)
}

/// Writes the members of a TypeScript type, and those of the members' types.
fn put_members(page: &mut String, root: &Path, prefix: &str, members: &[Member]) -> Result<(), Failure> {
    for member in members {
        let path = format!("{prefix}{}", member.name);
        put_row(page, &path, &member.default, &member.doc);
        let inner = format!("{path}.");
        if !member.inner.is_empty() {
            put_members(page, root, &inner, &member.inner)?;
            continue;
        }
        for interface in INTERFACES.iter().filter(|(name, _)| member.ty.contains(name)) {
            let mut members = declared(root, *interface)?;
            // As in `Omit<RetryPolicyConfig, 'isRetryable'>`.
            members.retain(|inner| !member.ty.contains(&format!("'{}'", inner.name)));
            put_members(page, root, &inner, &members)?;
        }
    }
    Ok(())
}

fn declared(root: &Path, (name, file): (&str, &str)) -> Result<Vec<Member>, Failure> {
    let path = root.join(file);
    let text = fs::read_to_string(&path).map_err(|source| Failure::io(&path, source))?;
    interface(&text, name)
        .ok_or_else(|| Failure::NoInterface { file: file.to_owned(), name: name.to_owned() })
}

fn put_row(page: &mut String, path: &str, default: &str, text: &str) {
    let text = text.replace('|', "\\|");
    put!(page, "| `{path}` | {} | {text} |\n", default.replace('|', "\\|"));
}
