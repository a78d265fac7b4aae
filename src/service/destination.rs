//! The destination of each request of a visitor, by its method and its path.

use super::admin;
use super::listen::Entrance;
use super::plain_http::Purpose;
use crate::model::mount::{BadMountName, MountName};
use crate::wire::http::head::{Head, Method};
use crate::wire::http::reply;
use crate::wire::icecast::passthrough;
use crate::wire::icecast::passthrough::Passthrough;
use crate::wire::icecast::playlist::Playlist;

/// The place to which a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// A source for a mount.
    Source,
    /// A listener for a mount.
    Listen(MountName, Entrance),
    /// A playlist of a mount.
    Playlist(Playlist, MountName),
    /// The methods of a path, which are these.
    Options(&'static str),
    /// The methods of this server.
    Capabilities,
    /// Pages and API.
    Admin,
    /// A path that can never be anything.
    NotFound,
    /// A method that the path, or the node, does not have. The path has these.
    WrongMethod(&'static str),
}

/// Whether nothing but the node itself ever answers below the first part of a path. Browsers ask for the icon of a site, and
/// other programs for well-known files, which may well be there.
pub(super) fn is_reserved(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    MountName::RESERVED.contains(&first) && !["favicon.ico", ".well-known"].contains(&first)
}

/// The methods of a path that is not one of pages and API; `None` if nothing can ever be there.
fn allowed(path: &str) -> Option<&'static str> {
    if path.starts_with(passthrough::PREFIX) || Playlist::of_path(path).is_some() {
        return Some(reply::READ_METHODS);
    }
    let mount = MountName::from_request_path(path);
    mount.is_ok().then_some(reply::MOUNT_METHODS)
}

/// Whether a source that asks for this path is told what is wrong with the name of its mount.
fn is_misspelt(path: &str) -> bool {
    matches!(
        MountName::from_request_path(path),
        Err(BadMountName::NotAPath | BadMountName::Alphabet | BadMountName::Letter(_))
    )
}

/// The destination of a request.
pub(super) fn destination(head: &Head) -> Destination {
    let (method, path) = (head.method(), head.path());
    if *method == Method::Options && path == "*" {
        return Destination::Capabilities;
    }
    if admin::is_ours(path) {
        return Destination::Admin;
    }
    if matches!(method, Method::Get | Method::Head) {
        return destination_of_read(path);
    }
    let is_source = matches!(method, Method::Put | Method::Source);
    match (method, allowed(path)) {
        (_, Some(reply::MOUNT_METHODS)) if is_source => Destination::Source,
        (_, None) if is_source && is_misspelt(path) => Destination::Source,
        (Method::Options, Some(allowed)) => Destination::Options(allowed),
        (_, Some(allowed)) => Destination::WrongMethod(allowed),
        (_, None) => Destination::Admin,
    }
}

/// The purpose of a request, by which plain HTTP may not be enough.
pub(super) fn purpose(destination: &Destination, head: &Head) -> Purpose {
    match destination {
        Destination::Source => Purpose::Source,
        Destination::Listen(_, Entrance::Front) | Destination::Playlist(..) => Purpose::Stream,
        Destination::Admin => admin::purpose(head.method(), head.path()),
        Destination::Listen(_, Entrance::Passthrough(_))
        | Destination::Options(_)
        | Destination::Capabilities
        | Destination::NotFound
        | Destination::WrongMethod(_) => Purpose::Open,
    }
}

/// The mount that a request is about: each answer has its headers, also a refusal, and what a browser asks before.
pub(super) fn mount_of(destination: &Destination, path: &str) -> Option<MountName> {
    match destination {
        Destination::Listen(mount, _) | Destination::Playlist(_, mount) => Some(mount.clone()),
        Destination::Options(_) | Destination::Source | Destination::WrongMethod(_) => {
            match destination_of_read(path) {
                Destination::Listen(mount, _) | Destination::Playlist(_, mount) => Some(mount),
                _ => None,
            }
        }
        _ => None,
    }
}

fn destination_of_read(path: &str) -> Destination {
    if path.starts_with(passthrough::PREFIX) {
        return Passthrough::of_path(path).map_or(Destination::NotFound, |it| {
            Destination::Listen(it.mount.clone(), Entrance::Passthrough(it))
        });
    }
    if let Some((kind, mount)) = Playlist::of_path(path) {
        return MountName::from_request_path(mount).map_or(Destination::NotFound, |mount| {
            Destination::Playlist(kind, mount)
        });
    }
    MountName::from_request_path(path).map_or(Destination::Admin, |mount| {
        Destination::Listen(mount, Entrance::Front)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::reader::{Parsed, parse};

    fn head(line: &str) -> Head {
        let request = format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n");
        match parse(request.as_bytes()) {
            Ok(Parsed::Complete { head, .. }) => head,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn routed(line: &str) -> Destination {
        destination(&head(line))
    }

    fn mount(path: &str) -> MountName {
        MountName::try_from(path).unwrap()
    }

    #[test]
    fn no_file_stands_where_the_node_answers() {
        for path in [
            "/admin/x",
            "/api",
            "/_stream/n1/a.mp3",
            "/metrics",
            "/livez/",
        ] {
            assert!(is_reserved(path), "{path}");
        }
        for path in ["/favicon.ico", "/player/api", "/x.json", "/"] {
            assert!(!is_reserved(path), "{path}");
        }
    }

    #[test]
    fn every_answer_about_a_mount_is_of_that_mount() {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "SOURCE", "DELETE"] {
            let paths = ["/a.mp3", "/a.mp3.m3u", "/_stream/n1/a.mp3"];
            for path in &paths[..if matches!(method, "PUT" | "SOURCE") {
                1
            } else {
                3
            }] {
                let found = mount_of(&routed(&format!("{method} {path}")), path);
                assert_eq!(found, Some(mount("/a.mp3")), "{method} {path}");
            }
            for path in ["/", "/status.json"] {
                assert_eq!(mount_of(&routed(&format!("{method} {path}")), path), None);
            }
        }
    }

    #[test]
    fn the_purpose_of_a_request_follows_from_its_path() {
        for (line, expected) in [
            ("GET /", Purpose::Page),
            ("GET /?part=mesh", Purpose::Page),
            ("STATS /", Purpose::AdminPage),
            ("GET /status.json", Purpose::Open),
            ("GET /livez", Purpose::Open),
            ("GET /admin/moveclients?mount=/a", Purpose::AdminPage),
            ("GET /admin/metadata?mount=/a", Purpose::SourceWord),
            ("GET /admin/streamlist.txt", Purpose::Open),
            ("PATCH /api/v1/mounts/a.mp3", Purpose::Api),
            ("SOURCE /a.mp3", Purpose::Source),
            ("GET /a.mp3", Purpose::Stream),
            ("HEAD /a.mp3.m3u", Purpose::Stream),
            ("GET /_stream/n1/a.mp3", Purpose::Open),
            ("OPTIONS *", Purpose::Open),
        ] {
            assert_eq!(purpose(&routed(line), &head(line)), expected, "{line}");
        }
    }

    #[test]
    fn a_request_goes_where_it_belongs() {
        assert_eq!(routed("GET /"), Destination::Admin);
        assert_eq!(routed("GET /status.json"), Destination::Admin);
        assert_eq!(routed("POST /api/v1/mounts"), Destination::Admin);
        assert_eq!(routed("PUT /api/v1/mounts"), Destination::Admin);
        assert_eq!(routed("GET /admin/metadata?mount=/a"), Destination::Admin);
        for method in ["PUT", "POST", "DELETE", "PATCH", "OPTIONS"] {
            for path in ["/", "/status.json", "/livez", "/api/none"] {
                assert_eq!(routed(&format!("{method} {path}")), Destination::Admin);
            }
        }
        assert_eq!(routed("GET /none.json"), Destination::Admin);
        for path in [
            "/status.json",
            "/api/v1/mounts",
            "/admin/none",
            "/api",
            "/x.json",
        ] {
            for method in ["SOURCE", "PUT", "OPTIONS", "BREW"] {
                assert_eq!(routed(&format!("{method} {path}")), Destination::Admin);
            }
        }
        assert_eq!(routed("SOURCE /my~radio!"), Destination::Source, "told why");
        assert_eq!(routed("PUT /a.mp3"), Destination::Source);
        assert_eq!(routed("SOURCE /a.mp3"), Destination::Source);
        let front = Destination::Listen(mount("/a.mp3"), Entrance::Front);
        assert_eq!(routed("GET /a.mp3?x=1"), front);
        assert_eq!(routed("HEAD /a.mp3"), front);
        let m3u = Destination::Playlist(Playlist::M3u, mount("/a.mp3"));
        assert_eq!(routed("GET /a.mp3.m3u"), m3u);
        let passthrough = Passthrough::of_path("/_stream/n1/a/b.mp3").unwrap();
        let passed = Destination::Listen(mount("/a/b.mp3"), Entrance::Passthrough(passthrough));
        assert_eq!(routed("GET /_stream/n1/a/b.mp3"), passed);
        assert_eq!(routed("GET /_stream/a.mp3"), Destination::NotFound);
        assert_eq!(routed("GET /_stream/N!/a.mp3"), Destination::NotFound);
        for (path, methods) in [
            ("/a.mp3", reply::MOUNT_METHODS),
            ("/a.mp3.m3u", reply::READ_METHODS),
            ("/_stream/n1/a.mp3", reply::READ_METHODS),
        ] {
            assert_eq!(allowed(path), Some(methods), "{path}");
        }
        for path in ["/a.mp3.m3u", "/_stream/n1/a.mp3"] {
            for method in ["PUT", "SOURCE", "POST"] {
                let only_read = Destination::WrongMethod(reply::READ_METHODS);
                assert_eq!(routed(&format!("{method} {path}")), only_read);
            }
        }
        assert_eq!(routed("OPTIONS *"), Destination::Capabilities);
        let methods = reply::MOUNT_METHODS;
        assert_eq!(routed("OPTIONS /a.mp3"), Destination::Options(methods));
        let wrong = Destination::WrongMethod(methods);
        assert_eq!(routed("DELETE /a.mp3"), wrong);
        assert_eq!(routed("BREW /a.mp3"), wrong);
    }
}
