//! `/admin/buildm3u`: a playlist with a login in its address, for players that cannot be given one otherwise.
//!
//! The login is the caller's own word and is not looked at: as with Icecast, it need not be right, and whoever asks gets
//! back what was said.

use hyper::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Admin;
use super::call::{Answer, Call};
use super::form::FormFields;
use super::icecast::{missing, named_mount};
use super::icecast_status::base_for;
use super::reply;
use super::reply::Body;

/// Answers `/admin/buildm3u?mount=…&username=…&password=…`.
pub(super) fn build(admin: &Admin, call: &Call) -> Answer {
    let fields = FormFields::parse(call.query().as_bytes());
    let said = (fields.text("username"), fields.text("password"));
    let (Some(mount), (Some(user), Some(password))) = (named_mount(call, "mount"), said) else {
        return Ok(missing("mount, username and password"));
    };
    let base = base_for(admin, call);
    let (scheme, host) = base.split_once("://").unwrap_or(("http", &base));
    let [user, password] = [user, password].map(|it| escaped(&it));
    let lines = format!("{scheme}://{user}:{password}@{host}{mount}\r\n");
    Ok(playlist(lines))
}

fn escaped(word: &str) -> String {
    utf8_percent_encode(word, NON_ALPHANUMERIC).to_string()
}

fn playlist(lines: String) -> Response<Body> {
    let mut answer = reply::text(StatusCode::OK, lines);
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_static("audio/x-mpegurl");
    headers.insert(CONTENT_TYPE, kind);
    let file = HeaderValue::from_static("attachment; filename=\"listen.m3u\"");
    headers.insert(CONTENT_DISPOSITION, file);
    answer
}
