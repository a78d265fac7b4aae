//! The live statistics of Icecast: `STATS / HTTP/1.0` answers with every figure on a line, and then with those that change.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Admin;
use super::call::{Answer, Call};
use super::feed::{self, Teller};
use super::icecast_stats::operators_figures;
use super::icecast_status::Figures;

/// Icecast's word for the server, where the path of a mount stands otherwise.
const SERVER: &str = "global";
/// Icecast's word for what has gone.
const GONE: &str = "null";

/// The figures by the words of their lines: of what, then which.
type Told = BTreeMap<String, BTreeMap<String, String>>;

/// Answers `STATS /`.
pub(super) async fn stats_feed(admin: &Admin, call: Call) -> Answer {
    let told = Told::new();
    let teller = StatsTeller { call, told };
    feed::answer(admin, "text/plain; charset=utf-8", teller)
}

struct StatsTeller {
    call: Call,
    told: Told,
}

impl Teller for StatsTeller {
    fn news(&mut self, admin: &Admin) -> String {
        let now = told(&operators_figures(admin, &self.call, None));
        let news = differences(&self.told, &now);
        self.told = now;
        news
    }

    fn quiet(&mut self) -> String {
        let clients = self.told.get(SERVER).and_then(|it| it.get("clients"));
        event(SERVER, "clients", clients.map_or(GONE, String::as_str))
    }
}

fn told(figures: &Figures) -> Told {
    let words = |figures: &Map<String, Value>| -> BTreeMap<String, String> {
        let words = figures.iter();
        words
            .map(|(key, figure)| (key.clone(), in_a_line(figure)))
            .collect()
    };
    let sources = figures.sources.iter();
    let sources = sources.map(|(mount, its)| (mount.to_string(), words(its)));
    let server = (SERVER.to_owned(), words(&figures.server));
    sources.chain([server]).collect()
}

fn in_a_line(figure: &Value) -> String {
    let text = match figure {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.replace(char::is_control, " ")
}

/// The lines that bring a reader of the one to the other. The server comes first, as with Icecast.
fn differences(before: &Told, now: &Told) -> String {
    let (none, mut lines) = (BTreeMap::new(), String::new());
    let (server, mounts): (Vec<_>, Vec<_>) = now.iter().partition(|(of, _)| *of == SERVER);
    for (of, figures) in server.into_iter().chain(mounts) {
        let known = before.get(of).unwrap_or(&none);
        for (key, figure) in figures
            .iter()
            .filter(|(key, it)| known.get(*key) != Some(it))
        {
            lines += &event(of, key, figure);
        }
        for key in known.keys().filter(|key| !figures.contains_key(*key)) {
            lines += &event(of, key, GONE);
        }
    }
    for of in before.keys().filter(|of| !now.contains_key(*of)) {
        lines += &event(of, GONE, GONE);
    }
    lines
}

fn event(of: &str, key: &str, figure: &str) -> String {
    format!("EVENT {of} {key} {figure}\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figures(server: Value, sources: &[(&str, Value)]) -> Told {
        let map = |value: &Value| value.as_object().unwrap().clone();
        let sources = sources.iter();
        told(&Figures {
            server: map(&server),
            sources: sources
                .map(|(mount, its)| (mount.parse().unwrap(), map(its)))
                .collect(),
        })
    }

    #[test]
    fn only_what_has_changed_is_told_again() {
        let title = json!({"listeners": 1, "title": "a\nEVENT /b x y"});
        let first = figures(json!({"clients": 2}), &[("/a", title)]);
        let all = differences(&Told::new(), &first);
        assert_eq!(
            all,
            "EVENT global clients 2\nEVENT /a listeners 1\nEVENT /a title a EVENT /b x y\n"
        );
        assert_eq!(differences(&first, &first), "");
        let untitled = figures(json!({"clients": 2}), &[("/a", json!({"listeners": 2}))]);
        assert_eq!(
            differences(&first, &untitled),
            "EVENT /a listeners 2\nEVENT /a title null\n"
        );
        let empty = figures(json!({"clients": 0}), &[]);
        assert_eq!(
            differences(&untitled, &empty),
            "EVENT global clients 0\nEVENT /a null null\n"
        );
    }
}
