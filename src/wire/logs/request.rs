//! The parts of a request that go to the log.

use std::net::IpAddr;

use crate::model::access_log::{NotedRequest, noted};
use crate::model::mount::MountName;
use crate::wire::http::credentials;
use crate::wire::http::head::{Head, HttpVersion, Method};

/// A request of this client, as the log tells it: without queries, which may hold passwords and tokens, and without the
/// password of its login.
pub fn noted_request(head: &Head, client: IpAddr) -> NotedRequest {
    let header = |name| head.header(name).map(noted);
    let login = head.header("authorization").and_then(credentials::basic);
    NotedRequest {
        client,
        user: login.map(|login| noted(&login.user)),
        method: noted(head.method().token()),
        path: noted(head.path()),
        protocol: protocol(head.version()),
        // A page of this node may have been opened with a token, and leads to its own icon, for example.
        referer: head
            .header("referer")
            .map(|page| noted(without_query(page))),
        agent: header("user-agent"),
    }
}

/// A Shoutcast source, as Icecast tells it: its password stands for a request.
pub fn shoutcast_request(mount: &MountName, client: IpAddr) -> NotedRequest {
    NotedRequest {
        client,
        user: None,
        method: Method::Source.token().to_owned(),
        path: mount.as_str().to_owned(),
        protocol: protocol(HttpVersion::Http10),
        referer: None,
        agent: None,
    }
}

fn protocol(version: HttpVersion) -> &'static str {
    match version {
        HttpVersion::Ice10 => "ICE/1.0",
        HttpVersion::Http10 => "HTTP/1.0",
        HttpVersion::Http11 => "HTTP/1.1",
        HttpVersion::Http20 => "HTTP/2.0",
    }
}

fn without_query(page: &str) -> &str {
    page.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access_log::MAX_NOTED_BYTES;
    use crate::wire::http::reader::{Parsed, parse};

    fn of(text: &str) -> NotedRequest {
        match parse(format!("{text}\r\n\r\n").as_bytes()) {
            Ok(Parsed::Complete { head, .. }) => noted_request(&head, [192, 0, 2, 1].into()),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn no_query_and_no_password_is_noted() {
        // `dj:sesame`, as a login.
        let all = of(
            "GET /admin/metadata?pass=sesame HTTP/1.1\r\nAuthorization: Basic ZGo6c2VzYW1l\r\n\
             Referer: http://node/?token=sesame#sesame\r\nUser-Agent: butt",
        );
        assert!(!format!("{all:?}").contains("sesame"));
        assert_eq!((&*all.method, &*all.path), ("GET", "/admin/metadata"));
        assert_eq!(all.user.as_deref(), Some("dj"));
        assert_eq!(all.referer.as_deref(), Some("http://node/"));
        assert_eq!(all.agent.as_deref(), Some("butt"));
        let bare = of("SOURCE /a.mp3 ICE/1.0");
        assert_eq!((bare.protocol, &*bare.method), ("ICE/1.0", "SOURCE"));
        assert_eq!((bare.user, bare.referer, bare.agent), (None, None, None));
    }

    #[test]
    fn long_texts_are_noted() {
        let long = "\u{e9}".repeat(MAX_NOTED_BYTES);
        let all = of(&format!(
            "GET /{} HTTP/1.1\r\nUser-Agent: {long}",
            "a".repeat(9_000)
        ));
        assert_eq!(all.path.len(), MAX_NOTED_BYTES);
        assert_eq!(all.agent.unwrap().len(), MAX_NOTED_BYTES);
    }
}
