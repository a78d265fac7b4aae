//! The files in the document: their descriptions, not their bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::info;

use super::commit::EditOrigin;
use super::refusal::{ChangeError, Deletion, Subject};
use super::{Documents, Inner};
use crate::logic::document::Document;
use crate::logic::ladder;
use crate::logic::records::{files, mounts};
use crate::model::file_name::FileName;
use crate::model::kept_file::{KeptFile, KeptFiles};
use crate::model::mount::MountName;

impl Documents {
    /// The files that the mesh keeps, as they are now.
    pub fn files(&self) -> Arc<KeptFiles> {
        self.0.files.borrow().clone()
    }

    /// The files as they change.
    pub fn watch_files(&self) -> watch::Receiver<Arc<KeptFiles>> {
        self.0.files.subscribe()
    }

    /// Notes a file on all nodes, in the place of one that has its name. Its bytes have to be on this node.
    pub async fn put_file(&self, file: KeptFile) -> Result<(), ChangeError> {
        let name = file.name.clone();
        let change = move |document: &mut Document, now_unix_ms| {
            files::check_room(&file, &files::list(document).0)?;
            let key = files::key(&file.name);
            let fields = files::changes(&file).into_fields();
            let record = document.edit(&key, fields, now_unix_ms)?;
            Ok::<_, ChangeError>((BTreeMap::from([(key, record)]), ()))
        };
        self.0.commit(EditOrigin::Client, change).await?;
        info!(file = %name, "file put");
        Ok(())
    }

    /// Deletes a file on all nodes.
    pub async fn delete_file(
        &self,
        name: &FileName,
        deletion: Deletion,
    ) -> Result<(), ChangeError> {
        let file = Subject::File(name.clone());
        self.0.delete_record(file, deletion).await?;
        info!(file = %name, "file deleted");
        Ok(())
    }
}

/// Whether a file may be deleted: not, if mounts play it.
pub(super) fn check_unplayed(file: &FileName, document: &Document) -> Result<(), ChangeError> {
    let mounts = mounts::list(document).mounts;
    let others: Vec<MountName> = ladder::players_of(file, &mounts).cloned().collect();
    match others.is_empty() {
        true => Ok(()),
        false => Err(ChangeError::IsPlayed {
            file: file.clone(),
            others,
        }),
    }
}

impl Inner {
    /// Publishes the files if they have changed.
    pub(super) fn publish_files(&self, found: KeptFiles) {
        self.files.send_if_modified(|files| {
            let has_changed = **files != found;
            if has_changed {
                *files = Arc::new(found);
            }
            has_changed
        });
    }
}
