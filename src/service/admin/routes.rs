//! The shape of the table of routes, and how a request finds its row.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::Admin;
use super::allowed::Allowed;
use super::call::{Answer, Call};

/// How long a request may take until its answer begins, unless its row says otherwise.
///
/// A login may wait 20 s for its turn, and an edit 10 s for a disk.
const USUAL_LIMIT: Duration = Duration::from_secs(30);

/// One row: what is answered to a method at a path, for whom, by which handler, and within which time.
#[derive(Clone, Copy)]
pub(super) struct Route {
    /// GET answers HEAD too.
    pub(super) method: &'static str,
    pub(super) pattern: &'static str,
    pub(super) access: Access,
    pub(super) handler: Handler,
    /// The time within which the answer has to begin, checks of passwords included. How long a body may then be
    /// streamed is its handler's affair.
    pub(super) limit: Duration,
}

/// The right that a request needs, the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// None.
    Anybody,
    /// The right to read which streams there are; checked before the handler is called.
    ListStreams,
    /// A right that depends on the mount; checked by the handler, which knows the mount once it has read the request.
    OfMount,
    /// The right to manage the mesh; checked before the handler is called.
    Manage,
}

/// The handler of a request.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// Answers at once.
    Now(fn(&Admin, &Call) -> Answer),
    /// Waits for something first.
    Later(for<'a> fn(&'a Admin, Call) -> Answering<'a>),
}

/// An answer that is being made.
pub(super) type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// The result of looking a request up in the table.
pub(super) enum Lookup<'a> {
    /// A row answers the request. With the part of the path that stands for its placeholder, decoded; empty if it has
    /// none.
    Found(Route, Cow<'a, str>),
    /// The path has these methods, and the request only asks for them.
    Options(Allowed),
    /// The path has these methods, and that of the request is none of them.
    WrongMethod(Allowed),
    /// The table has no such path.
    NoSuchPath,
}

impl Route {
    /// A row for GET, and so for HEAD.
    pub(super) const fn get(pattern: &'static str, access: Access, handler: Handler) -> Self {
        Self::of("GET", pattern, access, handler)
    }

    /// A row for POST.
    pub(super) const fn post(pattern: &'static str, access: Access, handler: Handler) -> Self {
        Self::of("POST", pattern, access, handler)
    }

    /// A row for PUT.
    pub(super) const fn put(pattern: &'static str, access: Access, handler: Handler) -> Self {
        Self::of("PUT", pattern, access, handler)
    }

    /// A row for PATCH.
    pub(super) const fn patch(pattern: &'static str, access: Access, handler: Handler) -> Self {
        Self::of("PATCH", pattern, access, handler)
    }

    /// A row for DELETE.
    pub(super) const fn delete(pattern: &'static str, access: Access, handler: Handler) -> Self {
        Self::of("DELETE", pattern, access, handler)
    }

    /// A row for Icecast's method STATS.
    pub(super) const fn stats(pattern: &'static str, access: Access, handler: Handler) -> Self {
        Self::of("STATS", pattern, access, handler)
    }

    const fn of(
        method: &'static str,
        pattern: &'static str,
        access: Access,
        handler: Handler,
    ) -> Self {
        Self {
            method,
            pattern,
            access,
            handler,
            limit: USUAL_LIMIT,
        }
    }

    /// The same row with a time limit of its own.
    pub(super) const fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    fn answers(&self, method: &Method) -> bool {
        self.method == method.as_str() || self.method == "GET" && *method == Method::HEAD
    }
}

/// The right that a request for a path needs; if the path does not have the method, the greatest of those that it has.
pub(super) fn access(routes: &[Route], method: &str, path: &str) -> Option<Access> {
    let here = || {
        let routes = routes.iter();
        routes.filter(|route| matched(route.pattern, path).is_some())
    };
    let of_method = here().find(|route| route.method == method);
    of_method
        .or_else(|| here().max_by_key(|route| route.access))
        .map(|route| route.access)
}

/// The row for a request among `routes`, or why there is none.
pub(super) fn find<'a>(routes: &[Route], method: &Method, path: &'a str) -> Lookup<'a> {
    let here = || {
        routes
            .iter()
            .filter_map(|route| Some((route, matched(route.pattern, path)?)))
    };
    if let Some((route, named)) = here().find(|(route, _)| route.answers(method)) {
        return Lookup::Found(*route, percent_decode_str(named).decode_utf8_lossy());
    }
    let mut methods = Vec::new();
    for (route, _) in here() {
        methods.push(route.method);
        if route.method == "GET" {
            methods.push("HEAD");
        }
    }
    if methods.is_empty() {
        return Lookup::NoSuchPath;
    }
    methods.push("OPTIONS");
    match *method {
        Method::OPTIONS => Lookup::Options(Allowed::new(methods)),
        _ => Lookup::WrongMethod(Allowed::new(methods)),
    }
}

/// Whether any row is for this path.
pub(super) fn has_path(routes: &[Route], path: &str) -> bool {
    routes
        .iter()
        .any(|route| matched(route.pattern, path).is_some())
}

/// The part of a path, still percent-encoded, for which the placeholder of a pattern stands; empty if it has none, and
/// `None` if the path is not one of the pattern's. `{…}` stands for one part that is not empty, `{…*}` for that and all
/// that follows. A slash at the end makes no difference.
fn matched<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let path = match path.strip_suffix('/') {
        Some(bare) if !bare.is_empty() && !bare.ends_with('/') => bare,
        _ => path,
    };
    let Some((before, placeholder)) = pattern.split_once('{') else {
        return (path == pattern).then_some("");
    };
    let rest = path.strip_prefix(before)?;
    let (name, after) = placeholder.split_once('}')?;
    let named = rest.strip_suffix(after)?;
    let fits = !named.starts_with('/') && (name.ends_with('*') || !named.contains('/'));
    (fits && !named.is_empty()).then_some(named)
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;
    use crate::service::admin::reply;

    const DONE: Handler = Handler::Now(|_, _| Ok(reply::text(StatusCode::OK, "")));
    const ROUTES: [Route; 5] = [
        Route::get("/", Access::Anybody, DONE),
        Route::get("/api/things", Access::Manage, DONE),
        Route::post("/api/things", Access::Manage, DONE).within(Duration::from_secs(1)),
        Route::delete("/api/things/{path*}", Access::Manage, DONE),
        Route::post("/api/nodes/{name}/drain", Access::Manage, DONE),
    ];

    fn found(line: &str) -> String {
        let (method, path) = line.split_once(' ').unwrap();
        match find(&ROUTES, &method.parse().unwrap(), path) {
            Lookup::Found(route, named) if named.is_empty() => {
                format!("{} {}", route.method, route.pattern)
            }
            Lookup::Found(route, named) => {
                format!("{} {}: {named}", route.method, route.pattern)
            }
            Lookup::Options(methods) => format!("these: {}", methods.all()),
            Lookup::WrongMethod(methods) => format!("only: {}", methods.all()),
            Lookup::NoSuchPath => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_request_finds_its_row() {
        assert_eq!(found("GET /"), "GET /");
        assert_eq!(found("HEAD /"), "GET /");
        assert_eq!(found("POST /api/things"), "POST /api/things");
        assert_eq!(found("GET /api/things/"), "GET /api/things");
        assert_eq!(
            found("DELETE /api/things/a"),
            "DELETE /api/things/{path*}: a"
        );
        assert_eq!(
            found("DELETE /api/things/a/b%2Fc"),
            "DELETE /api/things/{path*}: a/b/c"
        );
        for path in ["/api/nodes/n1/drain", "/api/nodes/n%31/drain/"] {
            assert_eq!(
                found(&format!("POST {path}")),
                "POST /api/nodes/{name}/drain: n1"
            );
        }
    }

    #[test]
    fn a_path_without_a_row_is_unknown_for_every_method() {
        for path in [
            "/api",
            "/api/",
            "/api/thing",
            "/api/things//a",
            "/api/nodes/drain",
            "/api/nodes/a/b/drain",
            "/api/nodes//drain",
            "/api/nodes/n1/drain/x",
            "/api/nodes/n1",
            "//",
            "",
        ] {
            for method in ["GET", "HEAD", "POST", "OPTIONS", "BREW"] {
                assert_eq!(found(&format!("{method} {path}")), "nothing", "{path}");
            }
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        assert_eq!(found("POST /"), "only: GET, HEAD, OPTIONS");
        assert_eq!(found("PUT /api/things"), "only: GET, HEAD, POST, OPTIONS");
        assert_eq!(found("HEAD /api/nodes/n/drain"), "only: POST, OPTIONS");
        assert_eq!(found("OPTIONS /api/things/a"), "these: DELETE, OPTIONS");
    }

    #[test]
    fn a_row_has_the_usual_limit_or_its_own() {
        let limits = ROUTES.map(|route| route.limit);
        assert_eq!(limits[1], USUAL_LIMIT);
        assert_eq!(limits[2], Duration::from_secs(1));
    }
}
