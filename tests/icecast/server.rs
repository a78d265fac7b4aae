//! A server that rows are tried at: antiphon, an icecast2, or one that somebody has named.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;

use crate::media::frames::mp3_frame;
use crate::row::{Prepared, Row};

/// The user and the password of all sources whose mount has none of its own.
pub(crate) const SOURCE: [&str; 2] = ["source", "hackme"];
/// The user and the password of slaves.
pub(crate) const RELAY: [&str; 2] = ["relay", "relay-pw"];
/// The mount of Shoutcast sources that name none.
pub(crate) const SHOUTCAST_MOUNT: &str = "/shoutcast";
/// The header that a prepared server has for its answer 404, and no other.
pub(crate) const MISSING_HEADER: [&str; 2] = ["X-Missing", "yes"];
/// The file that a prepared server has at its root, and its bytes.
pub(crate) const HELLO: [&str; 2] = ["hello.txt", "seventeen bytes!\n"];
/// The name of the intro.
pub(crate) const INTRO: &str = "intro.mp3";
/// The number of the intro's first frame.
pub(crate) const INTRO_FIRST: u64 = 90_000_000;
/// The frames of the intro: a second.
pub(crate) const INTRO_FRAMES: u64 = 40;

/// The name of the file that is a fallback.
pub(crate) const FILLER: &str = "filler.mp3";
/// The number of its first frame, and of the frame behind its last: ten seconds.
pub(crate) const FILLER_FRAMES: [u64; 2] = [40_000_000, 40_000_383];

/// A file with tags and a table of contents.
pub(crate) fn filler() -> Vec<u8> {
    let id3 = [&b"ID3\x04\0\0\0\0\x07\x68"[..], &[0; 1_000]].concat();
    let mut xing = mp3_frame(0);
    xing[21..25].copy_from_slice(b"Xing");
    let frames = (FILLER_FRAMES[0]..FILLER_FRAMES[1]).flat_map(mp3_frame);
    [id3, xing, frames.collect()].concat()
}

/// A user and a password.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Login {
    /// Of these two words.
    pub(crate) fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }
}

/// How a server gets the mounts of rows.
#[derive(Clone, Debug)]
pub(crate) enum Mounts {
    /// By antiphon's API, with this value of `Authorization`.
    Api(String),
    /// All of them were in its settings as it started.
    Configured,
    /// Any path is one; there are no settings.
    Any,
}

/// The process of a server that was started here, and its folder. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) home: TempDir,
    /// The files, in its folder, in which it says what happens.
    pub(crate) logs: Vec<PathBuf>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // The server may have ended by itself.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// A server that rows are tried at.
#[derive(Debug)]
pub(crate) struct Server {
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// The login of sources.
    pub(crate) source: Login,
    /// The login of its admin, if it is known.
    pub(crate) admin: Option<Login>,
    /// The login of slaves that relay its streams, if it is known.
    pub(crate) relay: Option<Login>,
    /// `HOST:PORT` of its port for Shoutcast sources, if it has one.
    pub(crate) shoutcast: Option<String>,
    /// How long a head may take, if it is known.
    pub(crate) head_limit: Option<Duration>,
    /// How mounts come about.
    pub(crate) mounts: Mounts,
    /// Whether it has the files and headers of [`Prepared::Files`].
    pub(crate) has_files: bool,
    /// The process, if it was started here.
    pub(crate) process: Option<Process>,
    /// Held by the row that uses the mount of Shoutcast sources.
    pub(crate) shoutcast_turn: Mutex<()>,
}

impl Server {
    /// All that it has said, if that can be read.
    pub(crate) fn log(&self) -> Option<String> {
        let process = self.process.as_ref()?;
        let read = |file: &PathBuf| fs::read(process.home.path().join(file)).unwrap_or_default();
        let logs: Vec<u8> = process.logs.iter().flat_map(read).collect();
        Some(String::from_utf8_lossy(&logs).into_owned())
    }

    /// Why a row cannot be tried here, if it cannot.
    pub(crate) fn lacks(&self, row: &Row) -> Option<&'static str> {
        let mut others = row.needs.others.iter();
        let settled = !row.needs.mount.is_empty() || others.any(|other| !other.1.is_empty());
        let settled = matches!(self.mounts, Mounts::Any) && settled;
        match row.needs.server {
            _ if settled => Some("it needs settings of a mount"),
            alone if alone.is_alone() && self.process.is_none() => {
                Some("it needs a server for itself")
            }
            Prepared::Files if !self.has_files => Some("it needs files and headers in the server"),
            Prepared::Shoutcast if self.shoutcast.is_none() => {
                Some("it needs a port for Shoutcast sources")
            }
            _ => None,
        }
    }
}

/// Writes the files of [`Prepared::Files`] into a folder.
pub(crate) fn files(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let intro = (INTRO_FIRST..INTRO_FIRST + INTRO_FRAMES).flat_map(mp3_frame);
    fs::write(folder.join(INTRO), intro.collect::<Vec<u8>>()).unwrap();
    fs::write(folder.join(HELLO[0]), HELLO[1]).unwrap();
    fs::write(folder.join(FILLER), filler()).unwrap();
}

/// So many ports in a row that nobody uses now; the first of them.
///
/// Not one that the system gives to outgoing connections, from 32768 on: that could be taken before the server has it.
pub(crate) fn free_ports(count: u16) -> u16 {
    let free = |port: u16| {
        let place = (Ipv4Addr::LOCALHOST, port);
        TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok()
    };
    loop {
        let first = 10_000 + rand::random::<u16>() % 10_000;
        if (first..first + count).all(free) {
            return first;
        }
    }
}
