//! The request of an encoder that says what is on air: a query, or a form that is posted.

use http_body_util::{BodyExt, Limited};
use hyper::{Method, StatusCode};
use tracing::info;

use super::Admin;
use super::call::Call;
use super::declined::Declined;
use super::form::{self, FormFields};
use crate::model::caption::caption;
use crate::model::charset::Charset;
use crate::model::mount::MountName;
use crate::model::title::TitleInfo;
use crate::service::logins::{Caller, NoRight, RequestLogin};

/// The longest form that is read: a title of 64 KiB, escaped, and other fields. Of that title only the beginning is shown,
/// but an encoder that is refused may give up.
const MAX_FORM_BYTES: usize = 256 * 1024;
/// How much of a client's word a line of the log holds: the longest name of a charset has 19 letters.
const MAX_LOGGED_BYTES: usize = 64;

/// The fields of such a request, and its login.
pub(super) struct ToldTitle {
    fields: FormFields,
    /// The charset that the type of a form names.
    declared: Option<String>,
    authorization: Option<String>,
    caller: Caller,
}

impl ToldTitle {
    /// Reads the query, and behind it the form if one is posted.
    pub(super) async fn read(call: Call) -> Result<Self, Declined> {
        let (query, caller) = (call.query().as_bytes().to_vec(), call.caller);
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
        Ok(Self {
            fields: FormFields::parse(&form),
            declared,
            authorization,
            caller,
        })
    }

    /// A field that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.fields.text(key).filter(|text| !text.is_empty())
    }

    /// The mount that is named, if it could be one. Encoders have it in their settings without a slash, and some send it so.
    pub(super) fn mount(&self) -> Option<MountName> {
        let name = self.text("mount")?;
        MountName::with_or_without_slash(&name).ok()
    }

    /// Whether the title is to be set.
    pub(super) fn is_update(&self) -> bool {
        self.text("mode").as_deref() == Some("updinfo")
    }

    /// The login in the head.
    pub(super) fn login(&self) -> RequestLogin<'_> {
        RequestLogin {
            authorization: self.authorization.as_deref(),
            caller: self.caller,
        }
    }

    /// The title, in the charset that is named, or else that of the mount; `None` if nothing is said of it.
    pub(super) fn title(&self, admin: &Admin, mount: &MountName) -> Option<TitleInfo> {
        let spec = admin.0.mesh.documents.mount(mount);
        let of_mount = spec.map(|spec| spec.charset).unwrap_or_default();
        self.fields.title(spoken_charset(self, mount), of_mount)
    }
}

/// Refuses a title whose request has no right to set it. Whether the mount is there is not said.
pub(super) fn not_allowed(why: NoRight) -> Declined {
    match why {
        NoRight::Anonymous | NoRight::Denied => Declined::new(
            StatusCode::UNAUTHORIZED,
            "this needs the login of the mount's source, or the admin password, or the token of this node",
        ),
        NoRight::Busy => why.into(),
    }
}

/// The charset that an encoder says its title is in. An unknown one counts as none, as with Icecast: many encoders give
/// up when a title is refused.
fn spoken_charset(told: &ToldTitle, mount: &MountName) -> Option<Charset> {
    let name = told.text("charset").or_else(|| told.declared.clone())?;
    let known = name.parse();
    if known.is_err() {
        let name = caption(&name);
        let name = &name[..name.floor_char_boundary(MAX_LOGGED_BYTES)];
        info!(%mount, charset = name, "a title's charset is not known, read as if none was named");
    }
    known.ok()
}
