//! The address of Icecast at which encoders set titles.

use http_body_util::{BodyExt, Limited};
use hyper::{Method, Response, StatusCode};
use tracing::info;

use super::Admin;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::form::{self, FormFields};
use super::reply;
use super::reply::Body;
use crate::model::caption::caption;
use crate::model::charset::Charset;
use crate::model::mount::MountName;
use crate::service::logins::{RequestLogin, Right};
use crate::service::titles::NotSet;

/// The longest form that is read: a title of 64 KiB, escaped, and other fields. Of that title only the beginning is shown,
/// but an encoder that is refused may give up.
const MAX_FORM_BYTES: usize = 256 * 1024;
/// How much of a client's word a line of the log holds: the longest name of a charset has 19 letters.
const MAX_LOGGED_BYTES: usize = 64;

/// Sets the title of a mount: `/admin/metadata?mode=updinfo&mount=…&song=…`, as a query or as a form.
pub(super) async fn metadata(admin: &Admin, call: Call) -> Answer {
    let query = call.query().as_bytes().to_vec();
    let authorization = call.header("authorization").map(str::to_owned);
    let declared = form::declared_charset(call.request.headers());
    let form = match *call.request.method() {
        Method::POST => {
            let body = Limited::new(call.request.into_body(), MAX_FORM_BYTES);
            match body.collect().await {
                Ok(body) => [&query[..], b"&", &body.to_bytes()].concat(),
                Err(_) => return Err(Declined::bad("the form broke off or is too long")),
            }
        }
        _ => query,
    };
    let fields = FormFields::parse(&form);
    let Some(mount) = fields
        .text("mount")
        .and_then(|path| MountName::try_from(path.as_str()).ok())
    else {
        return Ok(missing());
    };
    let login = RequestLogin {
        authorization: authorization.as_deref(),
        caller: call.caller,
    };
    let right = Right::Describe(&mount);
    admin.0.logins.check(login, right).await?;
    if fields.text("mode").as_deref() != Some("updinfo") {
        return Ok(missing());
    }
    let spoken = spoken_charset(&fields, declared, &mount);
    let of_mount = admin
        .0
        .mesh
        .documents
        .mount(&mount)
        .map(|spec| spec.charset);
    let Some(title) = fields.title(spoken, of_mount.unwrap_or_default()) else {
        return Ok(missing());
    };
    let answer = match admin.0.titles.set(&mount, &title).await {
        Ok(()) => message(StatusCode::OK, "Metadata update successful", 1),
        Err(error @ NotSet::NoSource) => message(StatusCode::BAD_REQUEST, &error.to_string(), 0),
        Err(error) => message(StatusCode::BAD_GATEWAY, &error.to_string(), 0),
    };
    Ok(answer)
}

/// The charset that an encoder says its title is in. An unknown one counts as none, as with Icecast: many encoders give
/// up when a title is refused.
fn spoken_charset(
    fields: &FormFields,
    declared: Option<String>,
    mount: &MountName,
) -> Option<Charset> {
    let name = fields.text("charset").filter(|name| !name.is_empty());
    let name = name.or(declared)?;
    let known = name.parse();
    if known.is_err() {
        let name = caption(&name);
        let name = &name[..name.floor_char_boundary(MAX_LOGGED_BYTES)];
        info!(%mount, charset = name, "a title's charset is not known, read as if none was named");
    }
    known.ok()
}

/// Answers `/admin/manageauth`: no mount keeps listeners' accounts, as with Icecast where a mount has none. A name that
/// could not be one of an account is called so.
pub(super) fn manage_accounts(_admin: &Admin, call: &Call) -> Answer {
    let named = FormFields::parse(call.query().as_bytes()).text("username");
    let is_bad = |name: String| name.contains(|letter: char| letter == ':' || letter.is_control());
    match named.is_some_and(is_bad) {
        true => Ok(message(
            StatusCode::BAD_REQUEST,
            "a username has no colon, line end or other control character",
            0,
        )),
        false => Ok(missing()),
    }
}

fn missing() -> Response<Body> {
    message(StatusCode::BAD_REQUEST, "Missing parameter", 0)
}

fn message(status: StatusCode, text: &str, code: u8) -> Response<Body> {
    let body = format!(
        "<?xml version=\"1.0\"?>\n<iceresponse><message>{text}</message><return>{code}</return></iceresponse>\n"
    );
    reply::complaining(reply::xml(status, body), text.to_owned())
}
