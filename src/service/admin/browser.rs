//! Whether a browser may have been made to send a request by a page that it shows.
//!
//! A browser adds a password that it remembers to every request by itself, so an admin who is logged in would drain a
//! node by opening the wrong page. A browser never adds a token, and other programs are told their password each time:
//! neither of them is asked for more.

use hyper::{Method, Request};

use crate::wire::http::credentials;

/// The header that a request of a browser that changes something must carry, with any value. No form, link or image can
/// set it; a script can, on its own site, and no other site is ever allowed to.
pub(super) const MARK: &str = "X-Antiphon-Request";

/// Why a request of a browser that remembers a password is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CrossSite {
    #[error("a page of another site may not do this")]
    OtherSite,
    #[error(
        "a browser may not do this with a password that it remembers: use curl or the command line, or a script of \
         this very site that sets the header {MARK}"
    )]
    NoMark,
}

/// The site that a request comes from, as the browser says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    /// A page of this very node.
    Same,
    /// None: the address was typed, or is a bookmark.
    Typed,
    /// A page of another site.
    Other,
    /// Unknown: over plain HTTP browsers need not say it.
    Unknown,
}

/// Refuses a request that a page may have made a browser send.
pub(super) fn check<T>(request: &Request<T>) -> Result<(), CrossSite> {
    let login = header(request, "authorization").and_then(credentials::basic);
    if login.is_none() || !is_browser(request) {
        return Ok(());
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let sets_title = !request.uri().path().starts_with("/api/");
    let marked = request.headers().contains_key(MARK);
    match site(request) {
        Site::Other => Err(CrossSite::OtherSite),
        _ if marked => Ok(()),
        // Encoders set titles with GET, so there a GET changes something.
        Site::Same | Site::Typed if reads => Ok(()),
        Site::Unknown if reads && !sets_title => Ok(()),
        Site::Same | Site::Typed | Site::Unknown => Err(CrossSite::NoMark),
    }
}

/// Whether a browser sent a request. Programs call themselves Mozilla too, for the sake of old servers, and some name
/// languages; no program does both, or sends the headers that only browsers have.
fn is_browser<T>(request: &Request<T>) -> bool {
    let headers = request.headers();
    let of_browsers = headers.keys().any(|name| {
        let name = name.as_str();
        name.starts_with("sec-")
            || matches!(name, "origin" | "cookie" | "upgrade-insecure-requests")
    });
    let agent = header(request, "user-agent").unwrap_or_default();
    of_browsers || headers.contains_key("accept-language") && agent.contains("Mozilla/5")
}

fn site<T>(request: &Request<T>) -> Site {
    let host = header(request, "host");
    let from = |name: &str| {
        let url = header(request, name)?;
        let authority = url
            .split_once("://")
            .map(|(_, rest)| rest.split('/').next());
        let same = authority.is_some() && authority.flatten() == host;
        Some(if same { Site::Same } else { Site::Other })
    };
    let told = match header(request, "sec-fetch-site") {
        Some("same-origin") => Some(Site::Same),
        Some("none") => Some(Site::Typed),
        Some(_) => Some(Site::Other),
        None => None,
    };
    match (told, from("origin")) {
        (Some(Site::Other), _) | (_, Some(Site::Other)) => Site::Other,
        (Some(told), _) | (None, Some(told)) => told,
        (None, None) => from("referer").unwrap_or(Site::Unknown),
    }
}

/// The value of a header; one that is no text is empty.
fn header<'a, T>(request: &'a Request<T>, name: &str) -> Option<&'a str> {
    Some(request.headers().get(name)?.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASIC: (&str, &str) = ("authorization", "Basic YWRtaW46eA==");
    const DRAIN: &str = "POST /api/v1/node/drain";
    const READ: &str = "GET /api/v1/mounts";
    const TITLE: &str = "GET /admin/metadata?song=x";
    /// The headers that every browser sends, over plain HTTP too.
    const CHROME: [(&str, &str); 2] = [
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/130"),
        ("accept-language", "en"),
    ];

    fn asked(line: &str, headers: &[(&str, &str)]) -> Result<(), CrossSite> {
        let (method, target) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(target);
        let request = request.header("host", "a:8000");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        check(&request.body(()).unwrap())
    }

    #[test]
    fn programs_and_tokens_are_asked_for_nothing_more() {
        for line in [DRAIN, READ, TITLE, "DELETE /api/v1/mounts/a"] {
            let mozilla = ("user-agent", "Song Status (Mozilla/5.0 Compatible)");
            let form = ("content-type", "application/x-www-form-urlencoded");
            assert_eq!(asked(line, &[BASIC, mozilla, form]), Ok(()));
            let token = ("authorization", "Bearer t");
            let other = ("sec-fetch-site", "cross-site");
            assert_eq!(asked(line, &[token, other]), Ok(()));
            assert_eq!(asked(line, &[other]), Ok(()), "refused as nobody, later");
        }
    }

    #[test]
    fn a_foreign_page_gets_nothing_from_a_remembered_password() {
        for sign in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://a:8000.evil.example"),
        ] {
            for line in [DRAIN, READ, TITLE] {
                for more in [(MARK, "1"), ("x", "y")] {
                    let refused = asked(line, &[BASIC, sign, more]);
                    assert_eq!(refused, Err(CrossSite::OtherSite), "{line} {sign:?}");
                }
            }
        }
        let both = [BASIC, ("sec-fetch-site", "none"), ("origin", "null")];
        assert_eq!(asked(DRAIN, &both), Err(CrossSite::OtherSite));
        let [agent, language] = CHROME;
        let linked = [BASIC, agent, language, ("referer", "http://evil.example/")];
        assert_eq!(asked(TITLE, &linked), Err(CrossSite::OtherSite));
    }

    #[test]
    fn a_form_changes_nothing_whatever_the_browser_says_of_it() {
        let [agent, language] = CHROME;
        for sign in [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
            ("origin", "http://a:8000"),
            ("referer", "http://a:8000/evil.mp3"),
            ("cookie", "a=b"),
            ("x", "y"),
        ] {
            let signs = [BASIC, agent, language, sign];
            assert_eq!(asked(DRAIN, &signs), Err(CrossSite::NoMark), "{sign:?}");
            let marked = [BASIC, agent, language, sign, (MARK, "1")];
            assert_eq!(asked(DRAIN, &marked), Ok(()), "{sign:?}");
            assert_eq!(asked(READ, &signs), Ok(()), "{sign:?}");
        }
    }

    #[test]
    fn a_browser_sets_titles_only_with_a_known_origin() {
        let [agent, language] = CHROME;
        let signs = |sign| asked(TITLE, &[BASIC, agent, language, sign]);
        assert_eq!(signs(("sec-fetch-site", "none")), Ok(()));
        assert_eq!(signs(("sec-fetch-site", "same-origin")), Ok(()));
        assert_eq!(signs(("referer", "http://a:8000/")), Ok(()));
        assert_eq!(signs(("x", "y")), Err(CrossSite::NoMark));
    }
}
