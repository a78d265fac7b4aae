//! The one table of what the door answers besides streams, playlists and sources.

use std::time::Duration;

use super::routes::Access::{Anybody, Manage, OfMount};
use super::routes::Handler::{Later, Now};
use super::routes::Route;
use super::{
    api, icecast, icecast_status, listeners, load_page, nodes, open, outside, password, steering,
};
use crate::wire::livez;

/// The limit where a password is set: its login and its hash may each wait 20 s for their turn, and the edit 10 s for a
/// disk.
const PASSWORD_LIMIT: Duration = Duration::from_secs(60);

/// A handler that waits and needs no more than the request.
macro_rules! later {
    ($handler:path) => {
        Later(|admin, call| Box::pin($handler(admin, call.request)))
    };
}

/// Every path with its methods. All begin with a part, or end with an ending, that no mount has.
#[rustfmt::skip]
pub(super) static ROUTES: &[Route] = &[
    Route::get("/", Anybody, Now(open::page)),
    Route::get("/status.json", Anybody, Now(open::status)),
    Route::get("/status-json.xsl", Anybody, Now(icecast_status::status_json)),
    Route::get("/load.xsl", Anybody, Now(load_page::load_page)),
    Route::get(livez::PATH, Anybody, Now(open::alive)),
    Route::get("/healthz", Anybody, Now(open::alive)),
    Route::get("/readyz", Anybody, Now(open::ready)),
    Route::get("/admin/metadata", OfMount, Later(|admin, call| Box::pin(icecast::metadata(admin, call)))),
    Route::post("/admin/metadata", OfMount, Later(|admin, call| Box::pin(icecast::metadata(admin, call)))),
    Route::patch("/api/v1/admin", Manage, later!(password::admin)).within(PASSWORD_LIMIT),
    Route::get("/api/v1/candidates", Anybody, Now(|admin, call| steering::candidates(admin, &call.request, call.client))),
    Route::get("/api/v1/explain", Manage, Now(|admin, call| steering::explain(admin, &call.request))),
    Route::get("/api/v1/listeners", Manage, later!(listeners::list)),
    Route::delete("/api/v1/listeners/{id}", Manage, later!(listeners::kill)),
    Route::get("/api/v1/mounts", Manage, later!(api::mounts)),
    Route::post("/api/v1/mounts", Manage, later!(api::mounts)).within(PASSWORD_LIMIT),
    Route::get("/api/v1/mounts/{path*}", Manage, later!(api::mounts)),
    Route::patch("/api/v1/mounts/{path*}", Manage, later!(api::mounts)).within(PASSWORD_LIMIT),
    Route::delete("/api/v1/mounts/{path*}", Manage, later!(api::mounts)),
    Route::post("/api/v1/node/drain", Manage, later!(nodes::nodes)),
    Route::post("/api/v1/node/step-down", Manage, later!(nodes::nodes)),
    Route::post("/api/v1/node/undrain", Manage, later!(nodes::nodes)),
    Route::get("/api/v1/nodes", Manage, later!(nodes::nodes)),
    Route::patch("/api/v1/nodes/{name}", Manage, later!(nodes::nodes)),
    Route::delete("/api/v1/nodes/{name}", Manage, later!(nodes::nodes)),
    Route::post("/api/v1/nodes/{name}/drain", Manage, later!(nodes::nodes)),
    Route::post("/api/v1/nodes/{name}/undrain", Manage, later!(nodes::nodes)),
    Route::get("/api/v1/outside", Manage, later!(outside::outside)),
    Route::post("/api/v1/outside", Manage, later!(outside::outside)),
    Route::get("/api/v1/outside/{name}", Manage, later!(outside::outside)),
    Route::patch("/api/v1/outside/{name}", Manage, later!(outside::outside)),
    Route::delete("/api/v1/outside/{name}", Manage, later!(outside::outside)),
    Route::get("/api/v1/policy", Manage, later!(steering::policy)),
    Route::patch("/api/v1/policy", Manage, later!(steering::policy)),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::mount::MountName;

    #[test]
    fn no_path_of_the_table_can_be_a_mount() {
        for route in ROUTES {
            let path = route.pattern.replace(['{', '}', '*'], "");
            let mount = MountName::from_request_path(&path);
            assert!(mount.is_err(), "{path}");
        }
    }

    #[test]
    fn each_row_is_there_once() {
        let rows: BTreeSet<(&str, &str)> = ROUTES
            .iter()
            .map(|route| (route.method, route.pattern))
            .collect();
        assert_eq!(rows.len(), ROUTES.len());
    }

    #[test]
    fn only_what_anybody_may_read_is_open() {
        for route in ROUTES.iter().filter(|route| route.access == Anybody) {
            assert_eq!(route.method, "GET", "{}", route.pattern);
        }
    }
}
