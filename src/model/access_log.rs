//! The logs for operators and their tools: what is noted of a request and of a title, and the words of their settings.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use super::mount::MountName;
use super::title::TitleInfo;

/// The longest text of a request that is noted, in bytes. Names of browsers have some 200, and a whole head may have 64 KiB,
/// while as many requests wait to be written as listeners may leave at once.
pub const MAX_NOTED_BYTES: usize = 512;

/// How the lines of the logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// As Icecast writes them: the combined format of web servers with the seconds behind it.
    #[default]
    Combined,
    /// An object of JSON in each line.
    Json,
}

/// How much of the address of a client is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressPrivacy {
    /// All of it.
    Full,
    /// The network around it: the first 24 bits of IPv4, or 48 of IPv6, which many people share.
    #[default]
    Truncated,
    /// A number that is the same for the same address until the key is thrown away, a day later.
    Hashed,
    /// Nothing.
    None,
}

/// As much of a text of a client as is noted.
pub fn noted(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_NOTED_BYTES)].to_owned()
}

/// A request that was answered, once its answer has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessEntry {
    /// The request.
    pub request: NotedRequest,
    /// The status of the answer.
    pub status: u16,
    /// The bytes of the answer that the system has taken, its head too.
    pub sent_bytes: u64,
    /// When the answer ended, unix seconds.
    pub ended_unix_s: u64,
    /// The time from the request to the end of its answer.
    pub took: Duration,
}

/// A request as it is noted. No text is longer than [`MAX_NOTED_BYTES`], none has a query, and any may hold anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedRequest {
    /// The address of the client.
    pub client: IpAddr,
    /// The user that the client says it is.
    pub user: Option<String>,
    /// The method.
    pub method: String,
    /// The path, without the query: that may hold a password or a token.
    pub path: String,
    /// The protocol, such as `HTTP/1.1`.
    pub protocol: &'static str,
    /// The page that has led here, without its query.
    pub referer: Option<String>,
    /// The name of the program.
    pub agent: Option<String>,
}

/// A title that has come on air.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TitleEntry {
    /// When it came, unix seconds.
    pub unix_s: u64,
    /// The mount.
    pub mount: MountName,
    /// The listeners of the mount in the whole mesh.
    pub listeners: u32,
    /// The title.
    pub title: TitleInfo,
}
