//! The address of Icecast at which encoders set titles.

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use tracing::info;

use super::form::{self, Form};
use super::reply::{self, FullBody};
use super::{Admin, Right, refusal, right_by};
use crate::model::caption::caption;
use crate::model::charset::Charset;
use crate::model::mount::MountName;
use crate::service::logins::Caller;
use crate::service::titles::NotSet;
use crate::wire::http::credentials;

/// The longest form that is read: the longest title, escaped.
const MAX_FORM_BYTES: usize = 32 * 1024;
/// As much of a word of a stranger as a line of the log holds: the longest name of a charset has 19 letters.
const MAX_LOGGED_BYTES: usize = 64;
/// The user that sources log in with.
const SOURCE_USER: &str = "source";

/// Sets the title of a mount: `/admin/metadata?mode=updinfo&mount=…&song=…`, as a query or as a form.
pub(super) async fn metadata(
    admin: &Admin,
    request: Request<Incoming>,
    caller: Caller,
) -> Response<FullBody> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let right = admin.right(&request, caller).await;
    let basic = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let credentials = basic.and_then(credentials::basic);
    let declared = form::declared_charset(request.headers());
    let form = match *request.method() {
        Method::GET => query.into_bytes(),
        Method::POST => match Limited::new(request.into_body(), MAX_FORM_BYTES)
            .collect()
            .await
        {
            Ok(body) => [query.as_bytes(), b"&", &body.to_bytes()].concat(),
            Err(_) => return reply::error(StatusCode::BAD_REQUEST, "the form broke off"),
        },
        _ => return reply::error(StatusCode::METHOD_NOT_ALLOWED, "use GET or POST"),
    };
    let fields = Form::parse(&form);
    let Some(mount) = fields
        .text("mount")
        .and_then(|path| MountName::try_from(path.as_str()).ok())
    else {
        return missing();
    };
    let user = credentials.as_ref().map_or("", |it| it.user.as_str());
    let right = match (right, &credentials) {
        (Right::Denied(_), Some(it)) if it.user == SOURCE_USER => {
            source_right(admin, &mount, (&it.password, caller)).await
        }
        (right, _) => right,
    };
    if let Some(refusal) = refusal(right, user, (mount.as_str(), caller)) {
        return refusal;
    }
    if fields.text("mode").as_deref() != Some("updinfo") {
        return missing();
    }
    let spoken = spoken_charset(&fields, declared, &mount);
    let of_mount = admin.0.documents.mount(&mount).map(|spec| spec.charset);
    let Some(title) = fields.title(spoken, of_mount.unwrap_or_default()) else {
        return missing();
    };
    match admin.0.titles.set(&mount, &title).await {
        Ok(()) => message(StatusCode::OK, "Metadata update successful", 1),
        Err(error @ NotSet::NoSource) => message(StatusCode::BAD_REQUEST, &error.to_string(), 0),
        Err(error) => message(StatusCode::BAD_GATEWAY, &error.to_string(), 0),
    }
}

/// The charset that an encoder says its title is in. One that nobody knows is as good as none, as with Icecast: many
/// encoders give up when a title is refused.
fn spoken_charset(fields: &Form, declared: Option<String>, mount: &MountName) -> Option<Charset> {
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

/// Whether somebody may set a mount's title as its source.
async fn source_right(
    admin: &Admin,
    mount: &MountName,
    (password, caller): (&str, Caller),
) -> Right {
    let Some(spec) = admin.0.documents.mount(mount) else {
        return Right::Denied("there is no such mount");
    };
    let passwords = &admin.0.passwords;
    let password = password.into();
    let checked = passwords.verify(&password, &spec.password_hash, caller.client);
    right_by(checked.await)
}

fn missing() -> Response<FullBody> {
    message(StatusCode::BAD_REQUEST, "Missing parameter", 0)
}

fn message(status: StatusCode, text: &str, code: u8) -> Response<FullBody> {
    let body = format!(
        "<?xml version=\"1.0\"?>\n<iceresponse><message>{text}</message><return>{code}</return></iceresponse>\n"
    );
    reply::complaining(reply::xml(status, body), text.to_owned())
}
