//! The API of the files that the mesh keeps.

use std::collections::BTreeMap;

use hyper::StatusCode;

use super::Admin;
use super::body;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::mounts::{deletion, is_forced};
use super::reply;
use crate::logic::ladder;
use crate::model::file_name::{FileName, PlayedFile};
use crate::model::kept_file::{KeptFile, MAX_FILE_BYTES};
use crate::model::mount::MountName;
use crate::model::status::file::FileStatus;
use crate::proto::on_air;
use crate::service::loops::FormatCheck;

/// Lists all files, who plays them, and which nodes lack them.
pub(super) fn list(admin: &Admin, _call: &Call) -> Answer {
    let mesh = &admin.0.mesh;
    let files = mesh.documents.files();
    let shown: Vec<FileStatus> = files.values().map(|file| status(admin, file)).collect();
    Ok(reply::json(StatusCode::OK, &shown))
}

/// Keeps the body as a file of this name.
pub(super) async fn put(admin: &Admin, call: Call) -> Answer {
    let name = name(&call)?;
    let check = match is_forced(&call)? {
        false => FormatCheck::Players,
        true => FormatCheck::None,
    };
    let turn = admin.0.loops.put_turn().await;
    let bytes = body::bytes(call.request, MAX_FILE_BYTES as usize).await?;
    let file = admin.0.loops.put(name, bytes, check, turn).await?;
    Ok(reply::json(StatusCode::OK, &status(admin, &file)))
}

/// Deletes a file: one that mounts play only if that is forced.
pub(super) async fn delete(admin: &Admin, call: Call) -> Answer {
    let (name, deletion) = (name(&call)?, deletion(&call)?);
    admin.0.mesh.documents.delete_file(&name, deletion).await?;
    Ok(reply::no_content())
}

fn status(admin: &Admin, file: &KeptFile) -> FileStatus {
    let mesh = &admin.0.mesh;
    let (mounts, view) = (mesh.documents.mounts(), mesh.cluster.view());
    let played_by: Vec<MountName> = ladder::players_of(&file.name, &mounts).cloned().collect();
    let troubles: BTreeMap<_, _> =
        on_air::file_troubles(&PlayedFile::Kept(file.name.clone()), &view);
    FileStatus {
        file: file.clone(),
        played_by,
        troubles,
    }
}

/// The file that the path of a request names.
fn name(call: &Call) -> Result<FileName, Declined> {
    let name = FileName::try_from(call.named.clone());
    name.map_err(|error| Declined::bad(format!("path: {error}")))
}
