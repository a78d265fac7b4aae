//! The logs of this node for operators' tools: requests in `access.log`, titles in `playlist.log`.
//!
//! One task writes both. Nobody waits for it: what it cannot write is counted and told, and streams go on.

mod playlist;
mod writer;

use tokio::sync::watch;

use self::writer::LogWriter;
use super::mesh::Mesh;
use super::streams::Streams;
use crate::io::logs::{AccessRecord, LogQueue, queue};
use crate::model::mount::MountName;
use crate::settings::LogsSettings;
#[cfg(test)]
use crate::settings::LogsTable;
use crate::wire::http::forwarded::Client;
use crate::wire::http::head::Head;
use crate::wire::logs::{noted_request, shoutcast_request};

/// A handle to the logs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logs {
    queue: LogQueue,
    /// Sent anew at each reload, also when nothing has changed: files are opened again then.
    settings: watch::Sender<LogsSettings>,
}

impl Logs {
    /// Starts the tasks that write as these settings say.
    pub fn start(settings: LogsSettings, mesh: &Mesh, streams: Streams) -> Self {
        let (queue, receiver) = queue();
        queue.set_written(settings.access, settings.playlist);
        let settings = watch::Sender::new(settings);
        let writer = LogWriter::new(receiver, settings.subscribe(), mesh.clone());
        mesh.tasks.spawn(writer.run(mesh.tasks.clone()));
        let titles = playlist::run(queue.clone(), streams, mesh.clone());
        mesh.tasks.spawn_until_end(titles);
        Self { queue, settings }
    }

    /// Logs that nothing is written to.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self {
            queue: queue().0,
            settings: watch::Sender::new(
                LogsSettings::of(LogsTable::default(), "".as_ref()).unwrap(),
            ),
        }
    }

    /// Begins to note a request of this client, if requests are written.
    pub fn begin(&self, head: &Head, client: Client) -> Option<AccessRecord> {
        let request = || AccessRecord::new(&self.queue, noted_request(head, client.ip));
        self.queue.has_access().then(request)
    }

    /// Begins to note a Shoutcast source of a mount, whose password was right: it has said no more yet.
    pub fn begin_shoutcast(&self, mount: &MountName, client: Client) -> Option<AccessRecord> {
        let request = || {
            let request = shoutcast_request(mount, client.ip);
            AccessRecord::new(&self.queue, request)
        };
        self.queue.has_access().then(request)
    }

    /// Opens the files again, as somebody may have renamed them, and writes as these settings say from now on.
    pub fn reload(&self, settings: LogsSettings) {
        self.queue.set_written(settings.access, settings.playlist);
        self.settings.send_replace(settings);
    }
}
