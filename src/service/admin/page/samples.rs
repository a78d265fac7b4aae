//! A page with one part for tests.

use std::time::{Duration, UNIX_EPOCH};

use maud::Markup;

use super::PageView;
use crate::model::status::Status;

/// A mesh without anything.
pub(super) fn empty() -> Status {
    let text = r#"{"node":"a","cluster":"","version":"","uptime_s":0,"master":null,"epoch":0,"nodes":[],"mounts":[]}"#;
    serde_json::from_str(text).unwrap()
}

/// A part of the page, 100 s after the beginning of 1970.
pub(super) fn shown(section: impl Fn(PageView<'_>) -> Markup, status: &Status) -> String {
    let view = PageView {
        status,
        now: UNIX_EPOCH + Duration::from_secs(100),
        https: false,
    };
    section(view).into_string()
}
