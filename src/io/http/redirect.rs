//! The redirects that are followed: those of the host that was asked, to itself.
//!
//! A server that could send a node anywhere could have it ask whatever else is in its network.

use hyper::header::{AUTHORIZATION, LOCATION};
use hyper::http::uri::Scheme;
use hyper::{Method, StatusCode, Uri};

use super::{Answer, Question, port};

/// The question that an answer leads to, if it is a redirect that is followed.
pub(super) fn next(question: &Question, answer: &Answer) -> Option<Question> {
    let is_redirect = matches!(
        answer.status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    // Whatever changes something is not asked twice.
    if !is_redirect || question.method != Method::GET {
        return None;
    }
    let location = answer.headers.get(LOCATION)?.to_str().ok()?;
    let next = elsewhere(question, location)?;
    let is_same_host = (question.url.host()?).eq_ignore_ascii_case(next.url.host()?);
    is_same_host.then_some(next)
}

/// The same question at another address, on any host, unless it would leave TLS. A login goes to no other server.
pub(super) fn elsewhere(question: &Question, location: &str) -> Option<Question> {
    let (from, to) = (&question.url, resolved(&question.url, location)?);
    if is_tls(from) && !is_tls(&to) {
        return None;
    }
    let is_same_host = from.host()?.eq_ignore_ascii_case(to.host()?);
    let is_same_server = port(from) == port(&to) && is_tls(from) == is_tls(&to);
    let is_upgrade = port(from) == Some(80) && port(&to) == Some(443) && is_tls(&to);
    let mut next = question.clone();
    if !(is_same_host && (is_same_server || is_upgrade)) {
        next.headers.remove(AUTHORIZATION);
    }
    next.url = to;
    Some(next)
}

fn is_tls(url: &Uri) -> bool {
    url.scheme() == Some(&Scheme::HTTPS)
}

/// A `Location` as a URL that can be asked: it is a whole one, or a path.
fn resolved(from: &Uri, location: &str) -> Option<Uri> {
    let to: Uri = match location.starts_with('/') && !location.starts_with("//") {
        true => {
            let mut parts = from.clone().into_parts();
            parts.path_and_query = Some(location.parse().ok()?);
            Uri::from_parts(parts).ok()?
        }
        false => location.parse().ok()?,
    };
    let has_login = to.authority()?.as_str().contains('@');
    (port(&to).is_some() && !has_login).then_some(to)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::header::{HeaderMap, HeaderValue};

    use super::*;

    fn led(from: &str, location: &str) -> Option<(String, bool)> {
        let login = HeaderValue::from_static("Basic x");
        let question = Question {
            method: Method::GET,
            url: from.parse().unwrap(),
            headers: HeaderMap::from_iter([(AUTHORIZATION, login)]),
            body: Bytes::new(),
        };
        let location = HeaderValue::from_str(location).unwrap();
        let answer = Answer {
            status: StatusCode::FOUND,
            headers: HeaderMap::from_iter([(LOCATION, location)]),
            body: Bytes::new(),
        };
        let next = next(&question, &answer)?;
        let keeps_login = next.headers.contains_key(AUTHORIZATION);
        Some((next.url.to_string(), keeps_login))
    }

    #[test]
    fn a_host_may_lead_to_itself() {
        let kept = |url: &str| Some((url.to_owned(), true));
        assert_eq!(led("http://a:1/x", "/y?z"), kept("http://a:1/y?z"));
        assert_eq!(led("http://a/x", "https://A/x"), kept("https://A/x"));
        assert_eq!(
            led("https://a/x", "https://a:443/y"),
            kept("https://a:443/y")
        );
    }

    #[test]
    fn a_login_does_not_go_to_another_port() {
        let lost = |url: &str| Some((url.to_owned(), false));
        assert_eq!(led("http://a:8000/", "http://a/y"), lost("http://a/y"));
        assert_eq!(
            led("http://a:80/", "https://a:8443/"),
            lost("https://a:8443/")
        );
    }

    #[test]
    fn nobody_is_led_elsewhere_or_out_of_tls() {
        for location in [
            "http://b/x",
            "http://169.254.169.254/",
            "//b/x",
            "ftp://a/",
            "file:///etc/passwd",
            "x",
            "",
            "http://u:p@a/",
        ] {
            assert_eq!(led("http://a/x", location), None, "{location}");
        }
        assert_eq!(led("https://a/x", "http://a/x"), None);
    }

    #[test]
    fn only_a_redirect_of_a_repeatable_request_counts() {
        let mut question = Question {
            method: Method::GET,
            url: "http://a/".parse().unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let mut answer = Answer {
            status: StatusCode::FOUND,
            headers: HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/x"))]),
            body: Bytes::new(),
        };
        assert!(next(&question, &answer).is_some());
        question.method = Method::POST;
        assert!(next(&question, &answer).is_none());
        question.method = Method::GET;
        answer.status = StatusCode::OK;
        assert!(next(&question, &answer).is_none());
        answer.status = StatusCode::FOUND;
        answer.headers.clear();
        assert!(next(&question, &answer).is_none());
    }
}
