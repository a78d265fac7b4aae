//! Listeners that ask for titles.

use super::http::Connection;
use super::node::TestNode;
use super::patience::{PATIENCE, eventually, so};

/// A listener at a node that asks for titles, and what it has heard.
pub(crate) struct TitleListener {
    connection: Connection,
    pub(crate) heard: Vec<u8>,
}

impl TitleListener {
    /// Begins to listen to a mount at this very node.
    pub(crate) fn at(node: &TestNode, mount: &str) -> Self {
        let mut connection = node.connect();
        let asked = format!("GET /_stream/n1{mount} HTTP/1.0\r\nIcy-MetaData: 1\r\n\r\n");
        connection.send(asked).unwrap();
        let head = connection.head().unwrap();
        assert_eq!(head.header("icy-metaint"), Some("16000"), "{head:?}");
        Self {
            connection,
            heard: Vec::new(),
        }
    }

    /// Waits until it has heard this, at any time.
    pub(crate) fn wait_for(&mut self, block: &str) {
        eventually(PATIENCE, "the title in the stream", || {
            self.heard.extend(self.connection.some(4_096).unwrap());
            let mut places = self.heard.windows(block.len());
            let is_in = places.any(|part| part == block.as_bytes());
            so(is_in, format!("{} bytes without {block}", self.heard.len()))
        });
    }

    /// Waits until this is the title that was told last.
    pub(crate) fn wait_title(&mut self, title: &str) {
        eventually(PATIENCE, title, || {
            let more = self.connection.some(4_096).unwrap();
            assert!(!more.is_empty(), "the listener was ended");
            self.heard.extend(more);
            let last = self.last_title();
            so(last.as_deref() == Some(title), format!("{last:?}"))
        });
    }

    fn last_title(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.heard);
        let last = text.rsplit_once("StreamTitle='")?.1;
        Some(last.split_once("';")?.0.to_owned())
    }
}
