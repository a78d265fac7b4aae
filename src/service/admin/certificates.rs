//! The API of certificates, and the answers to authorities that ask by HTTP.

use hyper::StatusCode;
use hyper::header::HOST;
use serde_json::{Map, Value, json};

use super::Admin;
use super::body;
use super::call::{Answer, Call};
use super::reply;
use super::settings;
use crate::io::http::Trust;
use crate::logic::records::https::HTTPS_KIND;
use crate::model::https::CertificateName;
use crate::service::certificates::{challenges, deletion, doubts, orders};
use crate::service::status::Viewer;

/// Answers an authority that wants a proof, whichever node it asks.
pub(super) fn challenge(admin: &Admin, call: &Call) -> Answer {
    let host = call.header(HOST.as_str()).unwrap_or_default();
    let issuance = admin.0.mesh.documents.issuance();
    Ok(match challenges::answer(&issuance, host, &call.named) {
        Some(answer) => reply::text(StatusCode::OK, answer),
        None => reply::nothing_here(),
    })
}

/// Shows the settings, and each certificate that there is or should be.
pub(super) fn show(admin: &Admin, _call: &Call) -> Answer {
    let mut shown = json!(admin.0.mesh.documents.issuance().settings);
    shown["status"] = json!(admin.0.statuses.certificates(Viewer::Operator));
    Ok(reply::json(StatusCode::OK, &shown))
}

/// Changes settings, and shows them.
pub(super) async fn edit(admin: &Admin, call: Call) -> Answer {
    let fields: Map<String, Value> = body::object(call.request).await?;
    if let Some(Value::String(authorities)) = fields.get("https_directory_ca")
        && !authorities.is_empty()
    {
        Trust::only(authorities)?;
    }
    let changes = settings::changes(admin, &HTTPS_KIND, fields).await?;
    let documents = &admin.0.mesh.documents;
    documents.set_https(changes).await?;
    orders::retry_failed(documents).await?;
    let settings = documents.issuance().settings.clone();
    let mut shown = json!(settings);
    let mut warnings = doubts::doubts(&admin.0.mesh, &settings).await;
    warnings.extend(
        admin
            .0
            .plain_http
            .warning_of_no_certificate()
            .filter(|_| !settings.is_on),
    );
    shown["warnings"] = json!(warnings);
    Ok(reply::json(StatusCode::OK, &shown))
}

/// Gives a certificate to the mesh.
pub(super) async fn import(admin: &Admin, call: Call) -> Answer {
    let mut fields = body::object(call.request).await?;
    let mut text = |field| body::name(field, fields.remove(field).unwrap_or_default());
    let (chain, key) = (text("chain")?, text("key")?);
    let documents = &admin.0.mesh.documents;
    let kept = orders::import(documents, &admin.0.seal, chain, &key).await?;
    let told = json!({ "names": kept.hosts(), "begins_unix_s": kept.not_before_unix_s, "until_unix_s": kept.not_after_unix_s, "serial": kept.serial });
    Ok(reply::json(StatusCode::CREATED, &told))
}

/// Takes a certificate out of the mesh.
pub(super) async fn delete(admin: &Admin, call: Call) -> Answer {
    let deleted = deletion::delete(&admin.0.mesh, &call.named).await?;
    let certificate = &deleted.certificate;
    let warning = admin.0.plain_http.warning_of_no_certificate();
    let host: Option<CertificateName> = admin.0.plain_http.host().parse().ok();
    let is_own = |bare: &String| {
        let bare = bare.parse::<CertificateName>();
        bare.is_ok_and(|bare| host.as_ref().is_some_and(|host| bare.covers(host)))
    };
    let warning = warning.filter(|_| deleted.bare.iter().any(is_own));
    let told = json!({
        "names": certificate.hosts(),
        "serial": certificate.serial,
        "bare": deleted.bare,
        "warnings": warning.into_iter().collect::<Vec<String>>(),
    });
    Ok(reply::json(StatusCode::OK, &told))
}

/// Has certificates ordered anew: that of a name, or all.
pub(super) async fn renew(admin: &Admin, call: Call) -> Answer {
    let mut fields = body::object(call.request).await?;
    let name = match fields.remove("name") {
        None | Some(Value::Null) => None,
        Some(name) => Some(body::name("name", name)?),
    };
    let renewed = orders::renew(&admin.0.mesh, &admin.0.seal, name.as_deref()).await?;
    let left_out = renewed.left_out.iter();
    let left_out = left_out.map(|(name, why)| json!({ "name": name, "why": why.to_string() }));
    let left_out: Vec<Value> = left_out.collect();
    let told = json!({ "ordered": renewed.ordered, "left_out": left_out });
    Ok(reply::json(StatusCode::ACCEPTED, &told))
}
