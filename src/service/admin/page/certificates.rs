//! The certificates of the mesh, where there are any or should be.

use std::time::UNIX_EPOCH;

use maud::{Markup, html};

use super::PageView;
use super::text::Foreign;
use crate::model::status::certificates::CertificateState;

/// A line for each certificate.
pub(super) fn section(seen: PageView<'_>) -> Markup {
    let now = seen.now.duration_since(UNIX_EPOCH);
    let now_unix_s = now.map_or(0, |since| since.as_secs());
    html! {
        @if let Some(status) = &seen.status.certificates {
            section aria-labelledby="certificates" {
                h2 id="certificates" { "Certificates" }
                @if status.https && status.node.is_none() {
                    p { "No node orders certificates." }
                }
                @for certificate in &status.certificates {
                    @let words = certificate.in_words(now_unix_s);
                    @match certificate.state {
                        CertificateState::Valid => p { (Foreign(&words)) },
                        _ => p class="notice" { (Foreign(&words)) },
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::model::status::certificates::{CertificateStatus, CertificatesStatus};

    #[test]
    fn each_certificate_is_a_line() {
        let mut status = samples::empty();
        assert_eq!(samples::shown(section, &status), "");
        let certificate = |names: &str, state| CertificateStatus {
            names: vec![names.to_owned()],
            state,
            until_unix_s: Some(130),
            ..CertificateStatus::default()
        };
        status.certificates = Some(CertificatesStatus {
            https: true,
            node: None,
            keys_to_seal: 0,
            certificates: vec![
                certificate("a.example", CertificateState::Valid),
                certificate("<b>", CertificateState::Ending),
            ],
        });
        let shown = samples::shown(section, &status);
        for part in [
            "No node orders",
            "<p>a.example: valid, 30 s left</p>",
            r#"<p class="notice">&lt;b&gt;: about to end, 30 s left</p>"#,
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }
}
