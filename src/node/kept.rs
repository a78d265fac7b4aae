//! Reads what earlier lives of a node have left on its disk.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tracing::{error, warn};

use crate::io::clock;
use crate::io::disk::{DataDir, Loaded};
use crate::logic::document::Document;
use crate::logic::document::saved::Saved;
use crate::logic::election::Start;
use crate::model::node::NodeName;
use crate::service::cluster::joining;
use crate::service::document::DOCUMENT_FILE;
use crate::service::identity;
use crate::settings::Settings;

/// The state that the node has read from its disk.
pub(super) struct KeptState {
    pub(super) data_dir: Arc<DataDir>,
    pub(super) life: identity::ThisLife,
    pub(super) remembered: BTreeSet<SocketAddr>,
    pub(super) document: Document,
    pub(super) set_aside: Option<Document>,
    pub(super) start: Start,
}

/// Opens the data directory, and reads what earlier lives of the node have left there.
pub(super) fn open_disk(settings: &Settings) -> anyhow::Result<KeptState> {
    let data_dir = Arc::new(DataDir::open(&settings.data_dir)?);
    let life = identity::begin_life(&data_dir)?;
    let remembered = joining::remembered(&data_dir);
    let start = if settings.join.is_empty() && remembered.is_empty() {
        Start::Founding
    } else {
        Start::Joining
    };
    let (document, set_aside) = load_document(&data_dir, &settings.name, start)?;
    Ok(KeptState {
        data_dir,
        life,
        remembered,
        document,
        set_aside,
        start,
    })
}

/// The document from disk; and, separately, one that is too old to be merged with the peers'.
fn load_document(
    data_dir: &DataDir,
    name: &NodeName,
    start: Start,
) -> anyhow::Result<(Document, Option<Document>)> {
    let empty = || Document::new(name.clone());
    let bytes = match data_dir.load(DOCUMENT_FILE)? {
        Loaded::Fresh => return Ok((empty(), None)),
        Loaded::Current(bytes) => bytes,
        Loaded::Previous { bytes, why } => {
            warn!(%why, "the document's file is damaged (kept as document.damaged): using the previous version");
            bytes
        }
        Loaded::Lost { why } => {
            error!(%why, "the document is lost (kept as document.damaged): beginning with an empty one");
            return Ok((empty(), None));
        }
    };
    let saved: Saved = serde_json::from_slice(&bytes).with_context(|| {
        format!(
            "{} is no document of ours",
            data_dir.path_of(DOCUMENT_FILE).display()
        )
    })?;
    let stale = saved.is_stale(clock::unix_ms());
    let (document, outcome) = Document::restore(name.clone(), saved);
    for refusal in &outcome.refused {
        warn!(%refusal, "left out of the document");
    }
    if stale && start == Start::Joining {
        warn!(
            "this node was away for longer than deletions are remembered: it takes the peers' document"
        );
        return Ok((empty(), Some(document)));
    }
    Ok((document, None))
}
