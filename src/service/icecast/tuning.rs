//! A listener's place at the Icecast: the node asks for the mount, reads the head of the answer, and leaves the rest of the
//! connection to the pacer.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::IcecastEngine;
use super::feeding::FeedHold;
use crate::io::icecast;
use crate::model::mount::MountName;
use crate::wire::icecast::local::listener_request;

/// How long a listener waits for its bytes to begin: a feed that has to be begun takes some tenths of a second.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before it is asked again for a mount that it has just been given.
const AGAIN: Duration = Duration::from_millis(50);
/// A listener's place at the Icecast.
#[derive(Debug)]
pub struct Tuned {
    /// The connection, behind the head of the answer.
    pub socket: std::net::TcpStream,
    /// The bytes that came with the head.
    pub begun: Bytes,
    /// The distance of titles in what it sends.
    pub metaint: Option<usize>,
    /// Has the mount fed for as long as it is kept.
    pub hold: FeedHold,
}

/// Why a listener cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum NotTuned {
    /// The keeper has told why.
    #[error("the Icecast of this node does not serve now")]
    Down,
    /// The stream did not begin within the time that listeners wait.
    #[error("the Icecast of this node did not begin with the stream within {PATIENCE:?}")]
    Late,
    /// No room is left there, most likely.
    #[error("the Icecast of this node refused a listener: status {0}")]
    Refused(u16),
    /// The connection failed.
    #[error("the connection to the Icecast of this node failed: {0}")]
    Connection(#[from] io::Error),
}

impl IcecastEngine {
    /// A listener's place: has the mount fed if need be, and asks for it.
    pub async fn tune_in(&self, mount: &MountName, wants_titles: bool) -> Result<Tuned, NotTuned> {
        let address = self.address().ok_or(NotTuned::Down)?;
        let (hold, request) = (self.hold_feed(mount), listener_request(mount, wants_titles));
        let asking = async {
            hold.on_air().await;
            loop {
                let answered = icecast::ask(address, &request).await?;
                match answered.answer.status {
                    200 => return Ok(answered),
                    // The source is there, and its mount a moment later.
                    404 => sleep(AGAIN).await,
                    status => return Err(NotTuned::Refused(status)),
                }
            }
        };
        let answered = timeout(PATIENCE, asking)
            .await
            .unwrap_or(Err(NotTuned::Late))?;
        Ok(Tuned {
            socket: answered.socket.into_std()?,
            begun: answered.begun,
            metaint: answered.answer.metaint,
            hold,
        })
    }
}
