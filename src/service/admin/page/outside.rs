//! The table of outside servers, where there are any.

use crate::model::outside::Slots;
use crate::model::status::outside::{OutsideState, OutsideStatus};

use super::Seen;
use super::text::{Escaped, count, is_web_url};

/// The section of the outside servers; nothing where there are none.
pub(super) fn section(seen: Seen<'_>) -> String {
    let status = seen.status;
    if status.outside.is_empty() {
        return String::new();
    }
    let rows: String = status
        .outside
        .iter()
        .map(|server| row(server, seen.https))
        .collect();
    format!(
        "<section aria-labelledby=\"outside\">\n<h2 id=\"outside\">Outside servers</h2>\n\
         <table class=\"outside\">\n\
         <caption>Servers without antiphon that carry these mounts too; one node asks each of them.</caption>\n\
         <thead><tr><th scope=\"col\">Server</th><th scope=\"col\">Mounts</th>\
         <th scope=\"col\">Listeners</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n</section>\n"
    )
}

fn row(server: &OutsideStatus, https: bool) -> String {
    let class = match server.state {
        OutsideState::Ready => "alive",
        OutsideState::Unknown => "suspect",
        OutsideState::Failing => "dead",
        OutsideState::Disabled => "draining",
    };
    let asked_by = match &server.asked_by {
        Some(node) => format!("<small>asked by {node}</small>"),
        None => String::new(),
    };
    let coming = match server.pending {
        0 => String::new(),
        pending => format!("<small>{} on their way</small>", count(pending)),
    };
    let listeners = match server.state {
        OutsideState::Ready => format!("{}{coming}", slots(server.server)),
        _ => "<span class=\"none\">unknown</span>".to_owned(),
    };
    format!(
        "<tr class=\"{class}\"><th scope=\"row\">{link}<span class=\"state\">{state}</span>{asked_by}</th>\
         <td>{mounts}</td><td class=\"number\">{listeners}</td></tr>\n",
        link = link(server, https),
        state = server.state.word(),
        mounts = mounts(server),
    )
}

fn link(server: &OutsideStatus, https: bool) -> String {
    match is_web_url(&server.url, https) {
        true => format!("<a href=\"{}\">{}</a>", Escaped(&server.url), server.name),
        false => server.name.to_string(),
    }
}

fn mounts(server: &OutsideStatus) -> String {
    let line = |(ours, mount): (&_, &crate::model::status::outside::OutsideMount)| {
        let on_air = match mount.on_air {
            Some(there) => format!("{} listeners", slots(there)),
            None => "not on air".to_owned(),
        };
        format!(
            "<div>{ours}<small>there {}, {on_air}</small></div>",
            mount.path
        )
    };
    server.mounts.iter().map(line).collect()
}

fn slots(slots: Slots) -> String {
    let listeners = count(slots.listeners.into());
    match slots.max_listeners {
        Some(most) => format!("{listeners} of {}", count(most.into())),
        None => listeners,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::mount::MountName;
    use crate::model::status::outside::OutsideMount;

    fn server(state: OutsideState) -> OutsideStatus {
        let mount = |path: &str| MountName::try_from(path).unwrap();
        let there = OutsideMount {
            path: mount("/stream"),
            on_air: Some(Slots {
                listeners: 3,
                max_listeners: None,
            }),
        };
        OutsideStatus {
            name: "relay".try_into().unwrap(),
            url: "http://relay.example:8000".into(),
            state,
            asked_by: "north".try_into().ok(),
            server: Slots {
                listeners: 1_003,
                max_listeners: Some(2_000),
            },
            pending: 2,
            weight_percent: 100,
            country: None,
            mounts: BTreeMap::from([(mount("/radio.mp3"), there)]),
        }
    }

    #[test]
    fn a_row_says_what_is_carried_under_which_name() {
        let row = row(&server(OutsideState::Ready), false);
        for part in [
            "<a href=\"http://relay.example:8000\">relay</a>",
            "asked by north",
            "/radio.mp3<small>there /stream, 3 listeners</small>",
            "1,003 of 2,000<small>2 on their way</small>",
        ] {
            assert!(row.contains(part), "{part} in {row}");
        }
    }

    #[test]
    fn of_a_silent_server_nothing_is_known() {
        let mut silent = server(OutsideState::Failing);
        silent.url = "javascript:x".into();
        let row = row(&silent, false);
        assert!(
            row.contains("not answering") && row.contains("unknown"),
            "{row}"
        );
        assert!(!row.contains("javascript"), "{row}");
    }
}
