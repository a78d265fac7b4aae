//! Requests by plain HTTP: each is answered, sent to HTTPS, or refused because of the login in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{info, warn};

use super::certificates::challenges;
use super::https_address::HttpsAddress;
use crate::io::door::Visitor;
use crate::settings::{HttpsRedirect, PlainHttpSettings, TlsUse};
use crate::wire::http::head::Head;

/// The purpose of a request, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A page for people.
    Page,
    /// A page with which the mesh is managed.
    AdminPage,
    /// The API: programs call it, and few of them follow a redirect.
    Api,
    /// A word about what a source sends, such as a title. Encoders say it, and follow no redirect.
    SourceWord,
    /// A source.
    Source,
    /// A stream or a playlist by its own address.
    Stream,
    /// All else, which needs no password and is asked by programs: health checks, lists, and streams by the address to which a
    /// listener was sent.
    Open,
}

impl Purpose {
    /// The logins to which it belongs.
    fn login(self) -> Option<TlsUse> {
        match self {
            Self::AdminPage | Self::Api => Some(TlsUse::Admin),
            Self::SourceWord | Self::Source => Some(TlsUse::Source),
            Self::Page | Self::Stream | Self::Open => None,
        }
    }

    /// The least setting with which it is sent to HTTPS.
    fn redirected_by(self) -> Option<HttpsRedirect> {
        match self {
            Self::Page | Self::AdminPage => Some(HttpsRedirect::Pages),
            Self::Stream => Some(HttpsRedirect::All),
            Self::Api | Self::SourceWord | Self::Source | Self::Open => None,
        }
    }
}

/// The fate of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainVerdict {
    /// Answer it.
    Answer,
    /// Send it to this address.
    Redirect(String),
    /// Refuse it, for this reason.
    Refuse(String),
}

/// The rules of this node for plain HTTP. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PlainHttp {
    settings: Arc<PlainHttpSettings>,
    address: HttpsAddress,
    has_warned: Arc<AtomicBool>,
    /// Whether the log was told that a login was refused while there is no other way in.
    has_told_no_way: Arc<AtomicBool>,
}

impl PlainHttp {
    /// The rules of these settings for a node with this address by HTTPS.
    pub fn new(settings: PlainHttpSettings, address: HttpsAddress) -> Self {
        Self {
            settings: Arc::new(settings),
            address,
            has_warned: Arc::default(),
            has_told_no_way: Arc::default(),
        }
    }

    /// Decides about a request that a visitor has made. One by TLS, or from this machine, is answered.
    pub fn judge(&self, visitor: &Visitor, head: &Head, purpose: Purpose) -> PlainVerdict {
        // An authority asks by plain HTTP, because there is no certificate yet.
        if is_private(visitor) || head.path().starts_with(challenges::PATH) {
            return PlainVerdict::Answer;
        }
        // Not as it stands in the request, where another host may stand before it.
        let query = head.query().map(|query| format!("?{query}"));
        let target = head.path().to_owned() + &query.unwrap_or_default();
        let verdict = self.verdict(purpose, &target);
        match &verdict {
            PlainVerdict::Refuse(_) => {
                info!(client = %visitor.client.ip, path = head.path(), status = 426, "refused: it came by plain HTTP");
                self.note_no_way();
            }
            PlainVerdict::Answer if head.header("authorization").is_some() => {
                self.note_login(visitor, purpose);
            }
            _ => {}
        }
        verdict
    }

    /// Whether a source that logs in by Shoutcast is refused.
    pub fn refuses_shoutcast(&self, visitor: &Visitor) -> bool {
        if is_private(visitor) || visitor.stream.is_tls() {
            return false;
        }
        let is_refused = self.settings.refused.contains(&TlsUse::Source);
        match is_refused {
            true => {
                info!(client = %visitor.client.ip, "refused: a Shoutcast login came without TLS");
                self.note_no_way();
            }
            false => self.note_login(visitor, Purpose::Source),
        }
        is_refused
    }

    /// The host by which the world knows this node.
    pub fn host(&self) -> &str {
        self.address.host()
    }

    /// A warning of the end of the last certificate for this node's name, if logins would be refused then.
    pub fn warning_of_no_certificate(&self) -> Option<String> {
        let uses: Vec<&str> = self.settings.refused.iter().map(|it| it.word()).collect();
        let is_cut_off = !uses.is_empty() && !self.address.is_proxied();
        is_cut_off.then(|| {
            format!(
                "require_tls_for = {uses:?} in the settings file of this node: without a valid certificate for {} nobody can log in \
                 except from its own machine, so take it out first",
                self.address.host()
            )
        })
    }

    /// Warns of logins that are refused where no certificate lets them come by TLS, once in the life of the node.
    fn note_no_way(&self) {
        if self.address.url().is_none() && !self.has_told_no_way.swap(true, Ordering::Relaxed) {
            warn!(
                host = self.address.host(),
                "logins are refused by require_tls_for, and this node has no valid certificate for its name: see antiphon cert \
                 list, or take require_tls_for out of the settings file. This is said once"
            );
        }
    }

    fn verdict(&self, purpose: Purpose, target: &str) -> PlainVerdict {
        let login = purpose.login();
        if login.is_some_and(|login| self.settings.refused.contains(&login)) {
            return PlainVerdict::Refuse(advice(&self.address));
        }
        let needs = purpose.redirected_by();
        match self
            .address
            .url()
            .filter(|_| needs.is_some_and(|it| it <= self.redirects()))
        {
            Some(url) => PlainVerdict::Redirect(format!("{url}{target}")),
            None => PlainVerdict::Answer,
        }
    }

    /// The requests that are sent to HTTPS. Where a proxy speaks it, nobody is, unless that is set: if the proxy is not trusted, what it
    /// brings looks like plain HTTP, and would be sent in circles.
    fn redirects(&self) -> HttpsRedirect {
        let usual = || match self.address.is_own() {
            true => HttpsRedirect::Pages,
            false => HttpsRedirect::Off,
        };
        self.settings.redirect.unwrap_or_else(usual)
    }

    /// Warns of a password that everybody on the way could read, once in the life of the node.
    fn note_login(&self, visitor: &Visitor, purpose: Purpose) {
        if purpose.login().is_some() && !self.has_warned.swap(true, Ordering::Relaxed) {
            warn!(
                client = %visitor.client.ip,
                "a password came by plain HTTP, and whoever is on the way can read it: let operators and encoders use HTTPS; \
                 require_tls_for = [\"admin\", \"source\"] in the settings file refuses all others. This is said once"
            );
        }
    }
}

/// Whether nobody but the two ends can read what a visitor sends.
fn is_private(visitor: &Visitor) -> bool {
    visitor.client.https || visitor.client.ip.is_loopback()
}

/// The advice for a client that has to come by TLS.
fn advice(address: &HttpsAddress) -> String {
    let place = match address.url() {
        Some(url) => format!("ask at {url}"),
        None => format!(
            "ask by https:// at this port, though there is no valid certificate for {} now, and on the machine of the node \
             antiphon cert list says why",
            address.host()
        ),
    };
    format!(
        "a password is not taken by plain HTTP here (require_tls_for): {place}; encoders need TLS, which butt calls SSL/TLS and \
         ffmpeg -tls 1\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::https::certificate::samples::certificate;
    use crate::io::https::certificates::Certificates;
    use crate::service::https_address::AddressWords;

    /// A speaker of HTTPS.
    #[derive(Clone, Copy, Debug)]
    enum Speaker {
        Node,
        Proxy,
        Nobody,
    }

    fn rules(redirect: Option<HttpsRedirect>, refused: &[TlsUse], speaker: Speaker) -> PlainHttp {
        let certificates = Certificates::default();
        if matches!(speaker, Speaker::Node) {
            let own = vec![certificate(&["h"], 2030)];
            certificates.set_files(own);
        }
        let proxy = matches!(speaker, Speaker::Proxy);
        let words = AddressWords {
            public_url: "http://h:8000".to_owned(),
            public_https_url: proxy.then(|| "https://h".to_owned()),
            https_port: Some(443),
        };
        let settings = PlainHttpSettings {
            redirect,
            refused: refused.iter().copied().collect(),
        };
        PlainHttp::new(settings, HttpsAddress::new(words, certificates))
    }

    const PURPOSES: [Purpose; 7] = [
        Purpose::Page,
        Purpose::AdminPage,
        Purpose::Api,
        Purpose::SourceWord,
        Purpose::Source,
        Purpose::Stream,
        Purpose::Open,
    ];

    fn redirected(rules: &PlainHttp) -> Vec<Purpose> {
        let there = PlainVerdict::Redirect("https://h/a?b".to_owned());
        let is_sent = |purpose: &Purpose| rules.verdict(*purpose, "/a?b") == there;
        PURPOSES.into_iter().filter(is_sent).collect()
    }

    #[test]
    fn pages_are_sent_to_https_and_streams_only_if_that_is_set() {
        use HttpsRedirect::{All, Off, Pages};
        let pages = vec![Purpose::Page, Purpose::AdminPage];
        let all = vec![Purpose::Page, Purpose::AdminPage, Purpose::Stream];
        for (redirect, speaker, sent) in [
            (None, Speaker::Node, pages.clone()),
            (None, Speaker::Proxy, vec![]),
            (Some(Off), Speaker::Node, vec![]),
            (Some(Pages), Speaker::Proxy, pages),
            (Some(All), Speaker::Node, all),
            (Some(All), Speaker::Nobody, vec![]),
        ] {
            let rules = rules(redirect, &[], speaker);
            assert_eq!(redirected(&rules), sent, "{redirect:?}, {speaker:?}");
        }
    }

    #[test]
    fn without_a_certificate_the_refusal_says_so() {
        let refusal = |speaker| {
            let rules = rules(None, &[TlsUse::Admin], speaker);
            match rules.verdict(Purpose::Api, "/") {
                PlainVerdict::Refuse(why) => (why, rules.warning_of_no_certificate()),
                other => panic!("{other:?}"),
            }
        };
        let (why, warning) = refusal(Speaker::Nobody);
        assert!(why.contains("no valid certificate for h now"), "{why}");
        assert!(warning.is_some_and(|it| it.contains("[\"admin\"]")));
        let (why, warning) = refusal(Speaker::Node);
        assert!(!why.contains("no valid certificate"), "{why}");
        assert!(warning.is_some(), "what would be without it");
        assert_eq!(refusal(Speaker::Proxy).1, None, "a proxy has its own");
        assert_eq!(
            rules(None, &[], Speaker::Node).warning_of_no_certificate(),
            None
        );
    }

    #[test]
    fn logins_that_need_tls_are_refused_and_nothing_else() {
        let refused = |uses: &[TlsUse]| -> Vec<Purpose> {
            let rules = rules(None, uses, Speaker::Node);
            let is_refused = |purpose: &Purpose| {
                let verdict = rules.verdict(*purpose, "/");
                matches!(verdict, PlainVerdict::Refuse(_))
            };
            PURPOSES.into_iter().filter(is_refused).collect()
        };
        assert_eq!(refused(&[]), []);
        let of_operators = [Purpose::AdminPage, Purpose::Api];
        assert_eq!(refused(&[TlsUse::Admin]), of_operators);
        let of_sources = [Purpose::SourceWord, Purpose::Source];
        assert_eq!(refused(&[TlsUse::Source]), of_sources);
    }
}
