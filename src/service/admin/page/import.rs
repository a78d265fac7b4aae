//! The lists of streams that are read from other servers, for operators, where there are any.

use std::time::UNIX_EPOCH;

use maud::{Markup, html};

use super::PageView;
use super::text::Foreign;

/// A line for each list; nothing where there are none, or whoever sees the page may not manage the mesh.
pub(super) fn section(seen: PageView<'_>) -> Markup {
    let now = seen.now.duration_since(UNIX_EPOCH);
    let now_unix_s = now.map_or(0, |since| since.as_secs());
    let import = seen.status.import.as_ref();
    html! {
        @if let Some(import) = import {
            section aria-labelledby="import" {
                h2 id="import" { "Imported streams" }
                @match &import.node {
                    None => p { "No node reads the lists of streams." },
                    Some(node) => @for list in &import.report.lists {
                        p { (node) " imports " (Foreign(&list.in_words(now_unix_s))) }
                    },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::model::import::{ImportReport, ImportStatus, ListReport};

    #[test]
    fn each_list_is_a_line_for_operators() {
        let mut status = samples::empty();
        assert_eq!(samples::shown(section, &status), "");
        let list = ListReport {
            address: "http://a/<x>".to_owned(),
            read_unix_s: Some(90),
            ..ListReport::default()
        };
        status.import = Some(ImportStatus {
            node: "east".parse().ok(),
            report: ImportReport { lists: vec![list] },
        });
        let shown = samples::shown(section, &status);
        assert!(
            shown.contains("east imports 0 mounts from http://a/&lt;x&gt;, read 10 s ago"),
            "{shown}"
        );
    }
}
