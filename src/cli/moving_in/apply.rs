//! Makes what is planned, through the API of a node.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::plan::{Plan, PlannedMount};
use crate::cli::api::{Api, IMPORT};
use crate::cli::failure::reasons;
use crate::cli::fields;
use crate::cli::mount;
use crate::cli::mount_changes::{MOUNTS, below};
use crate::cli::password::{ADMIN, RELAY};
use crate::cli::terminal::printable;
use crate::logic::records::import::IMPORT_KIND;
use crate::logic::records::kind::Kind;
use crate::logic::records::mounts::MOUNT_KIND;
use crate::model::mount::{MountName, MountSpec};
use crate::model::outside_relay::RelayAddresses;

/// The setting that waits until all mounts are there.
const FALLBACK: &str = "fallback";

/// The lines on all that was done, and how much of it could not be done.
#[derive(Default)]
struct Report {
    text: String,
    failed: usize,
}

impl Report {
    fn note<T>(&mut self, thing: &str, done: anyhow::Result<T>) -> Option<T> {
        match done {
            Ok(value) => {
                _ = writeln!(self.text, "{thing}");
                Some(value)
            }
            Err(why) => {
                self.failed += 1;
                _ = writeln!(self.text, "NOT {thing}: {}", printable(&reasons(&why)));
                None
            }
        }
    }
}

/// Makes all of it, and says so in lines; how much could not be done. What is there already is left alone.
pub(super) async fn apply(plan: &Plan, api: &Api) -> anyhow::Result<(String, usize)> {
    let there: Vec<MountSpec> = api.ask_for(Method::GET, MOUNTS, None).await?;
    let there: BTreeSet<MountName> = there.into_iter().map(|spec| spec.path).collect();
    let mut report = Report::default();
    let (known, new): (Vec<_>, Vec<_>) = plan
        .mounts
        .iter()
        .partition(|(path, _)| there.contains(*path));
    for (path, _) in known {
        _ = writeln!(report.text, "left {path} alone: it is there already");
    }
    let mut made = Vec::new();
    for (path, planned) in new {
        if make(path, planned, api, &mut report).await {
            made.push((path, planned));
        }
    }
    for (path, planned) in made {
        if let Some(fallback) = planned.fields.get(FALLBACK) {
            let body = json!({ FALLBACK: fallback });
            let set: anyhow::Result<Value> =
                api.ask_for(Method::PATCH, &below(path), Some(&body)).await;
            report.note(&format!("set {path} fallback={fallback}"), set);
        }
    }
    if !plan.import.is_empty() {
        let body = Value::Object(object(
            &IMPORT_KIND,
            plan.import.iter().map(|(key, text)| (*key, text)),
        )?);
        let set: anyhow::Result<Value> = api.ask_for(Method::PATCH, IMPORT, Some(&body)).await;
        report.note(
            "import the streams of the master: antiphon import show",
            set,
        );
    }
    for (path, password, owner) in [
        (RELAY, &plan.relay_password, "relay"),
        (ADMIN, &plan.admin_password, "admin"),
    ] {
        if let Some(password) = password {
            let body = json!({ "password": password });
            let set: anyhow::Result<Value> = api.ask_for(Method::PATCH, path, Some(&body)).await;
            report.note(&format!("take the {owner} password"), set);
        }
    }
    Ok((report.text, report.failed))
}

/// Makes a mount without its fallback, and shows a password that was made for it.
async fn make(path: &MountName, planned: &PlannedMount, api: &Api, report: &mut Report) -> bool {
    let fields = planned.fields.iter().filter(|(key, _)| **key != FALLBACK);
    let made = match object(&MOUNT_KIND, fields.map(|(key, text)| (*key, text))) {
        Ok(fields) => mount::make(api, path, fields).await,
        Err(why) => Err(why),
    };
    let is_own = planned.fields.contains_key("password");
    let password = made.as_ref().ok().and_then(|made| made.password.clone());
    let password = password.filter(|_| !is_own && !planned.fields.contains_key("relay"));
    let password = password.map_or_else(String::new, |password| format!(", password: {password}"));
    report
        .note(&format!("create {path}{password}"), made)
        .is_some()
}

/// The settings as the API takes them.
fn object<'a, S>(
    kind: &'static Kind<S>,
    settings: impl Iterator<Item = (&'static str, &'a String)>,
) -> anyhow::Result<Map<String, Value>> {
    let assignments = settings.map(|(key, text)| fields::setting(kind.field(key)?, text));
    Ok(fields::object(
        assignments.collect::<anyhow::Result<Vec<_>>>()?,
    ))
}

impl Plan {
    /// All that would be made, in lines without secrets.
    pub(super) fn would_make(&self) -> String {
        let mut text = String::new();
        for (path, planned) in &self.mounts {
            _ = writeln!(text, "would create {path}{}", in_words(&planned.fields));
        }
        if !self.import.is_empty() {
            _ = writeln!(text, "would import{}", in_words(&self.import));
        }
        for (password, owner) in [
            (&self.relay_password, "relay"),
            (&self.admin_password, "admin"),
        ] {
            if password.is_some() {
                _ = writeln!(text, "would take the {owner} password");
            }
        }
        text
    }
}

/// Settings in words, secrets left out.
fn in_words(settings: &BTreeMap<&'static str, String>) -> String {
    let words = settings.iter().map(|(key, value)| {
        let shown = match *key {
            "password" => "***".to_owned(),
            "relay" | "import_streamlist" => value
                .parse::<RelayAddresses>()
                .map_or_else(|_| "***".to_owned(), |it| it.to_string()),
            _ => value.clone(),
        };
        match shown.is_empty() || shown.contains(char::is_whitespace) {
            true => format!(" {key}={shown:?}"),
            false => format!(" {key}={shown}"),
        }
    });
    printable(&words.collect::<String>())
}
