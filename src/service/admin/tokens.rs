//! The API that signs tokens of listeners.

use std::net::IpAddr;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Admin;
use super::body;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::icecast_status::base_for;
use super::reply;
use crate::io::clock;
use crate::model::mount::MountName;
use crate::service::document::{ChangeError, Subject};
use crate::wire::icecast::token::{Holder, MAX_NAME_BYTES, PARAMETER, TokenMount, TokenWords};

/// The longest life of a token, seconds: ten years, for a player that hangs on a wall.
const MAX_LIFE_S: u64 = 3_660 * 24 * 60 * 60;

/// Signs a token: `{"mount", "for_s", "ip"?, "name"?}`.
pub(super) async fn mint(admin: &Admin, call: Call) -> Answer {
    let base = base_for(admin, &call);
    let mut fields = body::object(call.request).await?;
    let mut text = |field: &'static str| -> Result<Option<String>, Declined> {
        let value = fields.remove(field).filter(|value| *value != Value::Null);
        Ok(value.map(|value| body::name(field, value)).transpose()?)
    };
    let mount = text("mount")?.ok_or_else(|| Declined::bad("`mount` is missing"))?;
    let mount = MountName::with_or_without_slash(&mount);
    let mount = mount.map_err(|error| Declined::bad(format!("mount: {error}")))?;
    let (ip, name) = (text("ip")?, text("name")?.unwrap_or_default());
    let ip = ip.map(|ip| ip.parse::<IpAddr>()).transpose();
    let ip = ip.map_err(|_| Declined::bad("ip: must be an address, such as 192.0.2.1"))?;
    if name.len() > MAX_NAME_BYTES {
        let why = format!("name: at most {MAX_NAME_BYTES} bytes");
        return Err(Declined::bad(why));
    }
    let life_s = fields.remove("for_s").and_then(|life| life.as_u64());
    let life_s = life_s.filter(|life_s| (1..=MAX_LIFE_S).contains(life_s));
    let life_s = life_s.ok_or_else(|| {
        Declined::bad(format!(
            "for_s: must be a number of seconds, 1 to {MAX_LIFE_S}"
        ))
    })?;
    if let Some(unknown) = fields.keys().next() {
        let why = format!("a token has no {unknown:?}; it has mount, for_s, ip and name");
        return Err(Declined::bad(why));
    }
    let spec = admin.0.mesh.documents.mount(&mount);
    let spec = spec.ok_or(ChangeError::NotThere(Subject::Mount(mount)))?;
    let words = TokenWords {
        until_unix_s: clock::unix_s() + life_s,
        holder: ip.map_or(Holder::Bearer, Holder::Address),
        name,
    };
    let of = TokenMount {
        mount: &spec.path,
        series: spec.token_series,
    };
    let token = admin.0.token_keys.mint(of, &words);
    let url = format!("{base}{}?{PARAMETER}={token}", spec.path);
    let minted = json!({
        "mount": spec.path,
        "token": token,
        "url": url,
        "until_unix_s": words.until_unix_s,
        "is_open": spec.listener_auth.is_open(),
    });
    Ok(reply::json(StatusCode::CREATED, &minted))
}
