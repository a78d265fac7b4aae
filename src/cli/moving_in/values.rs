//! Values of an `icecast.xml` that servers and mounts have alike.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::plan::Plan;
use crate::model::http_header::ExtraHeader;
use crate::wire::icecast::config_file::ConfigElement;

/// The password in Icecast's sample, which everybody knows.
pub(super) const SAMPLE_PASSWORD: &str = "hackme";
/// Icecast's own port, which it takes if a socket names none.
pub(super) const ICECAST_PORT: &str = "8000";

/// The headers that are taken, as they are written here; of others it is said why not.
pub(super) fn header_rules(element: &ConfigElement, plan: &mut Plan) -> Vec<String> {
    let mut rules = Vec::new();
    for header in &element.children {
        let rule = header_rule(header).unwrap_or_default();
        match rule.parse::<ExtraHeader>() {
            Ok(rule) => rules.push(rule.to_string()),
            Err(why) => plan.remark(header, format!("left out: {why}")),
        }
    }
    rules
}

/// A header as it is written here: `404 X-Who: me`.
fn header_rule(element: &ConfigElement) -> Option<String> {
    let (name, value) = (
        element.attribute("name")?,
        element.attribute("value").unwrap_or_default(),
    );
    let status = element
        .attribute("status")
        .map_or_else(String::new, |status| format!("{status} "));
    Some(format!("{status}{name}: {value}"))
}

pub(super) fn with_slash(path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    }
}

/// A login in front of a host; nothing if there is none.
pub(super) fn login(user: &str, password: &str) -> String {
    let escaped = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    match (user, password) {
        (_, "") => String::new(),
        (user, password) => format!("{}:{}@", escaped(user), escaped(password)),
    }
}

/// The words on an element that is not taken over, by the tables of what is done without being told, and of what there is not.
pub(super) fn told(name: &str, by_itself: &[(&str, &str)], missing: &[(&str, &str)]) -> String {
    let find = |table: &[(&str, &str)], verdict: &str| {
        let row = table.iter().find(|(known, _)| *known == name);
        row.map(|(_, words)| format!("{verdict}: {words}"))
    };
    find(by_itself, "nothing to do")
        .or_else(|| find(missing, "no counterpart"))
        .unwrap_or_else(|| "not known: nothing is made of it".to_owned())
}
