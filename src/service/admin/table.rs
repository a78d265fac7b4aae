//! The one table of what the door answers besides streams, playlists and sources.

use std::time::Duration;

use super::routes::Access::{Anybody, ListStreams, Manage, OfMount};
use super::routes::Handler::{Later, Now};
use super::routes::Route;
use super::{
    accounts, certificates, event_feed, files, icecast, icecast_accounts, icecast_listeners,
    icecast_pages, icecast_playlist, icecast_stats, icecast_status, import, listeners, load_page,
    mounts, nodes, open, outside, password, shoutcast_cgi, stats_feed, steering, streamlist,
    switches, tokens,
};
use crate::wire::livez;

/// The limit where a password is set: its login and its hash may each wait 20 s for their turn, and the edit 10 s for a
/// disk.
const PASSWORD_LIMIT: Duration = Duration::from_secs(60);

/// The limit of a file, which may come over a slow line: 16 MiB at half a megabit per second.
const UPLOAD_LIMIT: Duration = Duration::from_secs(300);

/// A handler that waits for something.
macro_rules! later {
    ($handler:path) => {
        Later(|admin, call| Box::pin($handler(admin, call)))
    };
}

/// Every path with its methods. All begin with a part, or end with an ending, that no mount has.
#[rustfmt::skip]
pub(super) static ROUTES: &[Route] = &[
    Route::get("/", Anybody, Now(open::page)),
    Route::stats("/", Manage, later!(stats_feed::stats_feed)),
    Route::get("/status.json", Anybody, later!(open::status)),
    Route::get("/status-json.xsl", Anybody, Now(icecast_status::status_json)),
    Route::get("/status.xsl", Anybody, Now(icecast_pages::status_page)),
    Route::get("/7.xsl", Anybody, Now(icecast_pages::seven_xsl)),
    Route::get("/7.html", Anybody, Now(icecast_pages::seven_html)),
    Route::get("/load.xsl", Anybody, Now(load_page::load_page)),
    Route::get(livez::PATH, Anybody, Now(open::alive)),
    Route::get("/healthz", Anybody, Now(open::alive)),
    Route::get("/readyz", Anybody, Now(open::ready)),
    Route::get("/.well-known/acme-challenge/{token}", Anybody, Now(certificates::challenge)),
    Route::get("/admin/metadata", OfMount, later!(icecast::metadata)),
    Route::post("/admin/metadata", OfMount, later!(icecast::metadata)),
    Route::get("/admin/killsource", OfMount, later!(icecast::kill_source)),
    Route::get("/admin/fallbacks", Manage, later!(icecast::set_fallback)),
    Route::get("/admin/killclient", Manage, later!(icecast_listeners::kill)),
    Route::get("/admin/listclients", Manage, later!(icecast_listeners::list)),
    Route::get("/admin/listmounts", Manage, Now(icecast_stats::list_mounts)),
    Route::get("/admin/stats", Manage, Now(icecast_stats::stats)),
    Route::get("/admin/stats.xml", Manage, Now(icecast_stats::stats)),
    Route::get("/admin/stats.json", Manage, Now(icecast_stats::stats_json)),
    Route::get("/admin/eventfeed", Manage, Now(event_feed::event_feed)),
    Route::get("/admin/publicstats", Anybody, Now(icecast_stats::public_stats)),
    Route::get("/admin/publicstats.json", Anybody, Now(icecast_status::status_json)),
    Route::get("/admin/buildm3u", Anybody, Now(icecast_playlist::build)),
    Route::get("/admin/updatemetadata", Manage, Now(icecast::title_form)),
    Route::get("/admin/moveclients", Manage, later!(icecast::move_clients)),
    Route::get("/admin/manageauth", Manage, later!(icecast_accounts::manage)).within(PASSWORD_LIMIT),
    Route::get("/admin/streamlist", ListStreams, Now(streamlist::xml)),
    Route::get("/admin/streamlist.txt", ListStreams, Now(streamlist::text)),
    Route::get("/admin.cgi", OfMount, later!(shoutcast_cgi::admin_cgi)),
    Route::post("/admin.cgi", OfMount, later!(shoutcast_cgi::admin_cgi)),
    Route::get("/admin/admin.cgi", OfMount, later!(shoutcast_cgi::admin_cgi)),
    Route::post("/admin/admin.cgi", OfMount, later!(shoutcast_cgi::admin_cgi)),
    Route::get("/api/v1/accounts/{path*}", Manage, Now(accounts::list)),
    Route::post("/api/v1/accounts/{path*}", Manage, later!(accounts::add)).within(PASSWORD_LIMIT),
    Route::patch("/api/v1/accounts/{path*}", Manage, later!(accounts::change)).within(PASSWORD_LIMIT),
    Route::delete("/api/v1/accounts/{path*}", Manage, later!(accounts::delete)),
    Route::patch("/api/v1/admin", Manage, later!(password::set)).within(PASSWORD_LIMIT),
    Route::get("/api/v1/candidates", Anybody, Now(steering::candidates)),
    Route::get("/api/v1/certificates", Manage, Now(certificates::show)),
    Route::post("/api/v1/certificates", Manage, later!(certificates::import)),
    Route::patch("/api/v1/certificates", Manage, later!(certificates::edit)),
    Route::delete("/api/v1/certificates/{which}", Manage, later!(certificates::delete)),
    Route::post("/api/v1/certificates/renew", Manage, later!(certificates::renew)),
    Route::get("/api/v1/explain", Manage, Now(steering::explain)),
    Route::get("/api/v1/files", Manage, Now(files::list)),
    Route::put("/api/v1/files/{name}", Manage, later!(files::put)).within(UPLOAD_LIMIT),
    Route::delete("/api/v1/files/{name}", Manage, later!(files::delete)),
    Route::get("/api/v1/import", Manage, Now(import::show)),
    Route::patch("/api/v1/import", Manage, later!(import::edit)),
    Route::get("/api/v1/listeners", Manage, later!(listeners::list)),
    Route::delete("/api/v1/listeners/{id}", Manage, later!(listeners::kill)),
    Route::get("/api/v1/mounts", Manage, Now(mounts::list)),
    Route::post("/api/v1/mounts", Manage, later!(mounts::create)).within(PASSWORD_LIMIT),
    Route::get("/api/v1/mounts/{path*}", Manage, Now(mounts::show)),
    Route::patch("/api/v1/mounts/{path*}", Manage, later!(mounts::edit)).within(PASSWORD_LIMIT),
    Route::delete("/api/v1/mounts/{path*}", Manage, later!(mounts::delete)),
    Route::post("/api/v1/node/drain", Manage, later!(nodes::drain_this)),
    Route::post("/api/v1/node/step-down", Manage, later!(nodes::step_down)),
    Route::post("/api/v1/node/undrain", Manage, later!(nodes::undrain_this)),
    Route::get("/api/v1/nodes", Manage, Now(nodes::list)),
    Route::patch("/api/v1/nodes/{name}", Manage, later!(nodes::edit)),
    Route::delete("/api/v1/nodes/{name}", Manage, later!(nodes::forget)),
    Route::post("/api/v1/nodes/{name}/drain", Manage, later!(nodes::drain)),
    Route::post("/api/v1/nodes/{name}/undrain", Manage, later!(nodes::undrain)),
    Route::get("/api/v1/outside", Manage, Now(outside::list)),
    Route::post("/api/v1/outside", Manage, later!(outside::add)),
    Route::get("/api/v1/outside/{name}", Manage, Now(outside::show)),
    Route::patch("/api/v1/outside/{name}", Manage, later!(outside::edit)),
    Route::delete("/api/v1/outside/{name}", Manage, later!(outside::remove)),
    Route::patch("/api/v1/relay-login", Manage, later!(password::set_relay)).within(PASSWORD_LIMIT),
    Route::get("/api/v1/policy", Manage, Now(steering::show_policy)),
    Route::patch("/api/v1/policy", Manage, later!(steering::set_policy)),
    Route::delete("/api/v1/sources/{path*}", Manage, later!(mounts::end_source)),
    Route::post("/api/v1/tokens", Manage, later!(tokens::mint)),
    Route::post("/api/v1/switches/{path*}", Manage, later!(switches::switch)),
    Route::delete("/api/v1/switches/{path*}", Manage, later!(switches::switch_back)),
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
