//! The API of listeners: those of the whole mesh are listed, and one is ended wherever it is.

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use percent_encoding::percent_decode_str;

use super::Admin;
use super::form::Form;
use super::reply::{self, FullBody};
use crate::model::listener::BadListenerId;
use crate::model::mount::{BadMountName, MountName};
use crate::service::audience::NotKilled;

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("mount: {0}")]
    BadMount(#[from] BadMountName),
    #[error("there is no mount {0}")]
    NoMount(MountName),
    #[error(transparent)]
    BadId(#[from] BadListenerId),
    #[error(transparent)]
    NotKilled(#[from] NotKilled),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadMount(_) | Self::BadId(_) => StatusCode::BAD_REQUEST,
            Self::NoMount(_) => StatusCode::NOT_FOUND,
            Self::NotKilled(why) => match why {
                NotKilled::NoListener(_) | NotKilled::NoNode { .. } => StatusCode::NOT_FOUND,
                NotKilled::Dead(_) | NotKilled::TooOld(_) => StatusCode::CONFLICT,
                NotKilled::Unconfirmed { .. } => StatusCode::BAD_GATEWAY,
            },
        }
    }
}

/// Lists the listeners of a mount, or of all.
pub(super) async fn list(admin: &Admin, request: Request<Incoming>) -> Response<FullBody> {
    let listed = listed(admin, request.uri().query().unwrap_or_default()).await;
    listed.unwrap_or_else(|refusal| reply::error(refusal.status(), refusal))
}

async fn listed(admin: &Admin, query: &str) -> Result<Response<FullBody>, Refusal> {
    let mount = Form::parse(query.as_bytes()).text("mount");
    let mount = mount.map(MountName::try_from).transpose()?;
    if let Some(mount) = &mount
        && admin.0.documents.mount(mount).is_none()
    {
        return Err(Refusal::NoMount(mount.clone()));
    }
    let list = admin.0.audience.list(mount.as_ref()).await;
    Ok(reply::json(StatusCode::OK, &list))
}

/// Ends the listener whose id is the last part of the path.
pub(super) async fn kill(admin: &Admin, request: Request<Incoming>) -> Response<FullBody> {
    let path = request.uri().path().trim_end_matches('/');
    let id = path.rsplit('/').next().unwrap_or_default();
    let killed = async || -> Result<(), Refusal> {
        let id = percent_decode_str(id).decode_utf8_lossy().parse()?;
        Ok(admin.0.audience.kill(&id).await?)
    };
    match killed().await {
        Ok(()) => reply::no_content(),
        Err(refusal) => reply::error(refusal.status(), refusal),
    }
}
