//! The address of Icecast at which encoders set titles.

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;

use super::reply::{self, Body};
use super::{Admin, Right};
use crate::io::password::Verdict;
use crate::model::mount::MountName;
use crate::service::titles::NotSet;
use crate::wire::credentials;

/// The longest form that is read: the longest title, escaped.
const MAX_FORM_BYTES: usize = 32 * 1024;
/// The user that sources log in with.
const SOURCE_USER: &str = "source";

/// Sets the title of a mount: `/admin/metadata?mode=updinfo&mount=…&song=…`, as a query or as a form.
pub(super) async fn metadata(admin: &Admin, request: Request<Incoming>) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let right = admin.right(&request).await;
    let basic = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let credentials = basic.and_then(credentials::basic);
    let form = match *request.method() {
        Method::GET => query,
        Method::POST => match Limited::new(request.into_body(), MAX_FORM_BYTES)
            .collect()
            .await
        {
            Ok(body) => format!("{query}&{}", String::from_utf8_lossy(&body.to_bytes())),
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
    let right = match (right, credentials) {
        (Right::Denied, Some(it)) if it.user == SOURCE_USER => {
            source_right(admin, &mount, it.password).await
        }
        (right, _) => right,
    };
    match right {
        Right::Granted => {}
        Right::Denied => return reply::unauthorized(),
        Right::Busy => return reply::busy(),
    }
    if fields.text("mode").as_deref() != Some("updinfo") {
        return missing();
    }
    let Some(title) = fields.title() else {
        return missing();
    };
    match admin.0.titles.set(&mount, &title).await {
        Ok(()) => message(StatusCode::OK, "Metadata update successful", 1),
        Err(error @ NotSet::NoSource) => message(StatusCode::BAD_REQUEST, &error.to_string(), 0),
        Err(error) => message(StatusCode::BAD_GATEWAY, &error.to_string(), 0),
    }
}

/// Whether somebody may set a mount's title as its source.
async fn source_right(admin: &Admin, mount: &MountName, password: String) -> Right {
    let Some(spec) = admin.0.documents.mount(mount) else {
        return Right::Denied;
    };
    let passwords = &admin.0.passwords;
    match passwords
        .verify(&password.into(), &spec.password_hash)
        .await
    {
        Verdict::Right => Right::Granted,
        Verdict::Busy => Right::Busy,
        Verdict::Wrong | Verdict::BadHash => Right::Denied,
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

/// The fields of a form, in order.
struct Form(Vec<(String, Vec<u8>)>);

impl Form {
    fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self(
            pairs
                .map(|(key, value)| (key.to_owned(), unescape(value)))
                .collect(),
        )
    }

    /// A field as text: UTF-8 if it is, Latin-1 if not or if the form says so.
    fn text(&self, key: &str) -> Option<String> {
        let (_, bytes) = self.0.iter().find(|(name, _)| name == key)?;
        let latin = || bytes.iter().map(|byte| char::from(*byte)).collect();
        let charset = self.0.iter().find(|(name, _)| name == "charset");
        let says_latin = charset.is_some_and(|(_, name)| {
            let name = name.to_ascii_lowercase();
            name == b"iso-8859-1" || name == b"iso8859-1" || name == b"latin1"
        });
        match String::from_utf8(bytes.clone()) {
            Ok(text) if !says_latin => Some(text),
            _ => Some(latin()),
        }
    }

    /// What is on air: artist and title before the song, because those who send all three have a stale song.
    /// Fields that are there but empty say that nothing is; without any of them nothing is said.
    fn title(&self) -> Option<String> {
        let filled = |key| self.text(key).filter(|text| !text.is_empty());
        let title = match (filled("artist"), filled("title"), filled("song")) {
            (Some(artist), Some(title), _) => artist + " - " + &title,
            (None, Some(title), _) => title,
            (_, None, Some(song)) => song,
            (Some(artist), None, None) => artist,
            (None, None, None) => ["song", "title", "artist"]
                .into_iter()
                .find_map(|key| self.text(key))?,
        };
        let title = title.chars().filter(|letter| !letter.is_control());
        Some(title.collect())
    }
}

fn unescape(value: &str) -> Vec<u8> {
    percent_decode_str(&value.replace('+', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(form: &str) -> Option<String> {
        Form::parse(form).title()
    }

    #[test]
    fn a_title_is_read_as_encoders_send_it() {
        assert_eq!(title("song=It's+on"), Some("It's on".into()));
        assert_eq!(title("song="), Some(String::new()), "cleared");
        assert_eq!(title("artist=AA&title=TT"), Some("AA - TT".into()));
        assert_eq!(title("song=old&artist=AA&title=TT"), Some("AA - TT".into()));
        assert_eq!(title("title=TT"), Some("TT".into()));
        assert_eq!(title("artist=AA"), Some("AA".into()));
        assert_eq!(title("artist=&title="), Some(String::new()), "cleared");
        assert_eq!(title("artist=&title=&song=S"), Some("S".into()));
        assert_eq!(title("song=a%0d%0ab"), Some("ab".into()));
        assert_eq!(title("mount=/a"), None);
    }

    #[test]
    fn a_title_may_be_utf_8_or_latin_1() {
        assert_eq!(title("song=%C3%A9t%C3%A9"), Some("été".into()));
        assert_eq!(title("song=%E9t%E9"), Some("été".into()));
        assert_eq!(title("charset=ISO-8859-1&song=%E9t%E9"), Some("été".into()));
    }
}
