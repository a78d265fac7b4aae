//! `/admin.cgi`: where encoders that speak Shoutcast set titles, with a password in the query and mostly without a mount.

use hyper::{Response, StatusCode};

use super::Admin;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::reply;
use super::reply::Body;
use super::told_title;
use super::told_title::ToldTitle;
use crate::model::mount::MountName;
use crate::service::logins::{Caller, NoRight, Right};
use crate::service::sources::SourceProtocol;
use crate::service::titles::NotSet;
use crate::wire::icecast::shoutcast::{LoginReading, ShoutcastLogin};

/// The page that Icecast answers.
const DONE: &str = "<html><head><title>Admin request successful</title></head>\
                    <body><p>Metadata update successful</p></body></html>\n";

/// Sets a title: `/admin.cgi?mode=updinfo&pass=…&song=…`, as a query or as a form. The stream's number, `sid`, does not
/// matter: a mount is named by `mount`, or in front of the password.
pub(super) async fn admin_cgi(admin: &Admin, call: Call) -> Answer {
    let told = ToldTitle::read(call).await?;
    if !told.is_update() {
        return Err(Declined::bad("only mode=updinfo is answered here"));
    }
    let Some(pass) = told.text("pass") else {
        return Err(Declined::bad(
            "`pass` is missing: write pass=PASSWORD, or pass=/MOUNT:PASSWORD",
        ));
    };
    let mount = allowed_mount(admin, &told, &pass).await?;
    let Some(title) = told.title(admin, &mount) else {
        return Err(Declined::bad("`song` is missing: write song=TITLE"));
    };
    match admin.0.titles.set(&mount, &title).await {
        Ok(()) => Ok(done()),
        Err(error @ NotSet::NoSource) => Err(Declined::bad(error)),
        Err(error) => Err(Declined::new(StatusCode::BAD_GATEWAY, error)),
    }
}

/// The mount whose title the login may set: by the password in the query, or else by the login in the head, which some
/// encoders send too. A password alone may be that of the only mount on air in the whole mesh that has it.
async fn allowed_mount(admin: &Admin, told: &ToldTitle, pass: &str) -> Result<MountName, Declined> {
    let named = told.mount();
    if named.is_none() && told.text("mount").is_some() {
        return Err(Declined::bad("`mount` is not the path of a mount"));
    }
    let (mounts, login) = (admin.0.mesh.documents.mounts(), ShoutcastLogin::of(pass));
    let usual = named.clone().or_else(|| usual_mount(admin));
    let mut readings = login.readings(&mounts, usual.as_ref());
    readings.retain(|reading| {
        named
            .as_ref()
            .is_none_or(|named| reading.spec.path == *named)
    });
    let caller = told.login().caller;
    if named.is_none()
        && !login.names_missing(&mounts)
        && let Some(only) = only_mount(admin, &login, &readings, caller).await?
    {
        return Ok(only);
    }
    let Some(first) = readings.first() else {
        return Err(no_mount(admin, told, pass).await);
    };
    match admin.0.logins.shoutcast_title(&readings, caller).await {
        Err(NoRight::Denied) if told.login().authorization.is_some() => {
            let mount = first.spec.path.clone();
            let right = Right::Describe(&mount);
            let allowed = admin.0.logins.check(told.login(), right).await;
            allowed.map(|()| mount)
        }
        mount => mount,
    }
    .map_err(told_title::not_allowed)
}

/// Why a title is for no mount. If the request names one, only the admin is told that it does not exist: for others it is
/// as if the password was wrong.
async fn no_mount(admin: &Admin, told: &ToldTitle, pass: &str) -> Declined {
    if told.mount().is_none() && !pass.contains(':') {
        return Declined::bad(
            "the title is for no mount: write mount=/MOUNT, or pass=/MOUNT:PASSWORD, or set shoutcast_mount",
        );
    }
    let logins = &admin.0.logins;
    let allowed = match (told.login().authorization, told.mount()) {
        (Some(_), Some(mount)) => logins.check(told.login(), Right::Describe(&mount)).await,
        _ => logins.check_without_mount(pass, told.login().caller).await,
    };
    match allowed {
        Ok(()) => Declined::bad("there is no mount of that name: see `antiphon mount list`"),
        Err(why) => told_title::not_allowed(why),
    }
}

/// The only mount on air whose password the login is, if it is right in none of its readings.
async fn only_mount(
    admin: &Admin,
    login: &ShoutcastLogin,
    readings: &[LoginReading<'_>],
    caller: Caller,
) -> Result<Option<MountName>, Declined> {
    let logins = &admin.0.logins;
    if !logins.right_for(readings, caller).await?.is_empty() {
        return Ok(None);
    }
    let (mounts, view) = (admin.0.mesh.documents.mounts(), admin.0.mesh.cluster.view());
    let on_air = mounts.values();
    let others = login.searching(on_air.filter(|spec| view.source(&spec.path).is_some()));
    match logins.right_for(&others, caller).await?.as_slice() {
        [only] => Ok(Some(only.clone())),
        [] if readings.is_empty() && !others.is_empty() => {
            // A guess, and said to be one.
            let guess = logins.shoutcast_title(&[], caller).await;
            guess.map(Some).map_err(told_title::not_allowed)
        }
        [] => Ok(None),
        _ => Err(Declined::bad(
            "several mounts on air have this password: write mount=/MOUNT, or pass=/MOUNT:PASSWORD",
        )),
    }
}

/// The mount of a login that names none: the one that is set, or else that of the only Shoutcast source on air here.
fn usual_mount(admin: &Admin) -> Option<MountName> {
    admin.0.shoutcast_mount.clone().or_else(|| {
        let mut speaking = admin
            .0
            .sources
            .speaking(SourceProtocol::Shoutcast)
            .into_iter();
        speaking.next().filter(|_| speaking.next().is_none())
    })
}

fn done() -> Response<Body> {
    reply::html(StatusCode::OK, DONE)
}
