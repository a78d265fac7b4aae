//! The table of outside servers, where there are any.

use maud::{Markup, html};

use crate::model::outside::Slots;
use crate::model::status::outside::{OutsideState, OutsideStatus};

use super::PageView;
use super::text::{Foreign, columns, count, is_web_url};

/// The section of the outside servers; nothing where there are none.
pub(super) fn section(seen: PageView<'_>) -> Markup {
    let servers = &seen.status.outside;
    html! {
        @if !servers.is_empty() {
            section aria-labelledby="outside" {
                h2 id="outside" { "Outside servers" }
                table class="outside" {
                    caption {
                        "Servers without antiphon that carry these mounts too; one node asks each of them."
                    }
                    (columns(["Server", "Mounts", "Listeners"]))
                    tbody { @for server in servers { (row(server, seen.https)) } }
                }
            }
        }
    }
}

fn row(server: &OutsideStatus, https: bool) -> Markup {
    let class = match server.state {
        OutsideState::Ready => "alive",
        OutsideState::Unknown => "suspect",
        OutsideState::Failing => "dead",
        OutsideState::Disabled => "draining",
    };
    html! {
        tr class=(class) {
            th scope="row" {
                (link(server, https))
                span class="state" { (server.state.word()) }
                @if let Some(node) = &server.asked_by { small { "asked by " (node) } }
            }
            td { (mounts(server)) }
            td class="number" { (listeners(server)) }
        }
    }
}

fn listeners(server: &OutsideStatus) -> Markup {
    html! {
        @if server.state == OutsideState::Ready {
            (slots(server.server))
            @if server.pending > 0 { small { (count(server.pending)) " on their way" } }
        } @else {
            span class="none" { "unknown" }
        }
    }
}

fn link(server: &OutsideStatus, https: bool) -> Markup {
    html! {
        @if is_web_url(&server.url, https) {
            a href=(Foreign(&server.url)) { (server.name) }
        } @else {
            (server.name)
        }
    }
}

fn mounts(server: &OutsideStatus) -> Markup {
    html! {
        @for (ours, mount) in &server.mounts {
            div {
                (ours)
                small {
                    "there " (mount.path) ", "
                    @match mount.on_air {
                        Some(there) => { (slots(there)) " listeners" }
                        None => "not on air",
                    }
                }
            }
        }
    }
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
        let row = row(&server(OutsideState::Ready), false).into_string();
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
        let row = row(&silent, false).into_string();
        assert!(
            row.contains("not answering") && row.contains("unknown"),
            "{row}"
        );
        assert!(!row.contains("javascript"), "{row}");
    }
}
