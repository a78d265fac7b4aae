//! Talks to the HTTP API of a node.
//!
//! A user who can read the node's own token file may manage the mesh from this machine; from anywhere else, the
//! cluster's admin password gives the right.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use serde::Deserialize;
use serde_json::Value;

use super::node_url::NodeUrl;
use super::terminal;
use crate::io::http::{Answer, Limits, Question, REQUEST_TIMEOUT, Trust, basic, request_trusting};
use crate::settings::{Machine, RunArgs, Settings};

/// The longest token or password file that is read; a longer one is surely another file.
const MAX_CREDENTIAL_BYTES: usize = 4_096;

/// The longest answer that is read: a list of 20,000 listeners, the most that a node tells, each with the longest names.
const MAX_ANSWER_BYTES: usize = 32 << 20;

/// How long a file may take to arrive: 16 MiB over a line of half a megabit per second.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(300);

/// The longest error text of a node that is shown, in characters.
const MAX_ERROR_LETTERS: usize = 500;

const PASSWORD_VARIABLE: &str = "ANTIPHON_PASSWORD";
/// The node that is asked if the command names none.
const NODE_VARIABLE: &str = "ANTIPHON_NODE";

/// The place of these flags in a help: after the command's own.
const LAST: usize = 900;

/// The imports in the API.
pub(super) const IMPORT: &str = "/api/v1/import";

/// The node to ask, and the right to do so.
#[derive(Clone, Debug, Args)]
pub(super) struct NodeArgs {
    /// Any node of the mesh: http://HOST:PORT, https://HOST:PORT, or only HOST:PORT
    #[arg(
        long,
        global = true,
        display_order = LAST,
        value_name = "URL",
        env = NODE_VARIABLE,
        hide_env_values = true,
        default_value = "http://127.0.0.1:8000"
    )]
    pub(super) node: NodeUrl,
    /// Data directory of a node on this machine, whose token gives the right [default: /var/lib/antiphon for root, else ~/.local/share/antiphon]
    #[arg(
        long,
        global = true,
        display_order = LAST,
        value_name = "DIR",
        conflicts_with = "password_file"
    )]
    pub(super) data_dir: Option<PathBuf>,
    /// File with the cluster's admin password (or put it into ANTIPHON_PASSWORD)
    #[arg(long, global = true, display_order = LAST, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// File with the certificate (PEM) of your own authority, which alone is trusted when the URL is https://
    #[arg(
        long,
        global = true,
        display_order = LAST,
        value_name = "FILE",
        env = "ANTIPHON_NODE_CA",
        hide_env_values = true
    )]
    pub(super) node_ca: Option<PathBuf>,
}

impl NodeArgs {
    /// The flags by which another command asks the same node with the same right, with a blank before each.
    pub(super) fn flags(&self) -> String {
        let mut flags = format!(" --node {}", self.node);
        if let Some(folder) = &self.data_dir {
            flags += &format!(" --data-dir {}", folder.display());
        }
        if let Some(file) = &self.password_file {
            flags += &format!(" --password-file {}", file.display());
        }
        if let Some(file) = &self.node_ca {
            flags += &format!(" --node-ca {}", file.display());
        }
        flags
    }

    /// The proof that a node has to give by HTTPS; `None`: that of every server.
    pub(super) fn trust(&self) -> anyhow::Result<Option<Trust>> {
        let Some(file) = &self.node_ca else {
            return Ok(None);
        };
        let text = fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        let trust = Trust::only(&text).map_err(|why| anyhow!("{}: {why}", file.display()));
        trust.map(Some)
    }
}

/// The body of a request, and what it is.
struct ApiBody {
    content_type: Option<&'static str>,
    body: Bytes,
}

/// A node's API, with the right of one caller.
pub(super) struct Api {
    node: NodeUrl,
    authorization: Option<HeaderValue>,
    trust: Option<Trust>,
}

impl Api {
    /// Finds the right to ask: `--data-dir`, `--password-file`, the variable, or the token of
    /// this machine's own node, if it can be read.
    pub(super) fn new(args: NodeArgs, machine: &Machine) -> anyhow::Result<Self> {
        let trust = args.trust()?;
        let authorization = match (args.data_dir, args.password_file) {
            (Some(_), Some(_)) => bail!("give --data-dir or --password-file, not both"),
            (Some(dir), None) => Some(bearer(&read_credential(&dir.join("token"))?)?),
            (None, Some(file)) => Some(admin(&read_credential(&file)?)),
            (None, None) => match machine.text(PASSWORD_VARIABLE) {
                Some(password) => Some(admin(&password)),
                None => usual_token(machine).map(|it| bearer(&it)).transpose()?,
            },
        };
        Ok(Self {
            authorization,
            ..Self::public(args.node, trust)
        })
    }

    /// Finds the right to see all of what anybody may see a part of. Only a node on this machine is shown the token that
    /// nobody has named: another one would note a wrong login, and whoever is between would read it.
    pub(super) fn seeing(args: NodeArgs, machine: &Machine) -> anyhow::Result<Self> {
        let is_told = args.data_dir.is_some()
            || args.password_file.is_some()
            || machine.text(PASSWORD_VARIABLE).is_some();
        match is_told || is_here(&args.node) {
            true => Self::new(args, machine),
            false => {
                let trust = args.trust()?;
                Ok(Self::public(args.node, trust))
            }
        }
    }

    /// A node that is asked for what needs no right, and by HTTPS proves itself so.
    pub(super) fn public(node: NodeUrl, trust: Option<Trust>) -> Self {
        Self {
            node,
            authorization: None,
            trust,
        }
    }

    /// Asks, and returns the body of a successful answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Bytes> {
        let content_type = body.map(|_| "application/json");
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let body = ApiBody { content_type, body };
        self.send(method, path, body, REQUEST_TIMEOUT).await
    }

    /// Sends a file, and reads the JSON of the answer.
    pub(super) async fn put<T: for<'a> Deserialize<'a>>(
        &self,
        path: &str,
        file: Vec<u8>,
    ) -> anyhow::Result<T> {
        let body = ApiBody {
            content_type: Some("application/octet-stream"),
            body: file.into(),
        };
        let answer = self.send(Method::PUT, path, body, UPLOAD_TIMEOUT).await?;
        self.read(path, &answer)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: ApiBody,
        time: Duration,
    ) -> anyhow::Result<Bytes> {
        let mut headers = HeaderMap::new();
        if let Some(value) = &self.authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        if let Some(content_type) = body.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let url = format!("{}{path}", self.node);
        let question = Question {
            method,
            url: url.parse().with_context(|| format!("{url} is no URL"))?,
            headers,
            body: body.body,
        };
        let limits = Limits {
            time,
            answer_bytes: MAX_ANSWER_BYTES,
            ..Limits::default()
        };
        let trust = self.trust.as_ref().unwrap_or(Trust::system());
        let answer = request_trusting(question, limits, trust).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        bail!(self.refusal(&answer))
    }

    /// Asks, and reads the JSON of the answer.
    pub(super) async fn ask_for<T: for<'a> Deserialize<'a>>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<T> {
        let answer = self.ask(method, path, body).await?;
        self.read(path, &answer)
    }

    fn read<T: for<'a> Deserialize<'a>>(&self, path: &str, answer: &[u8]) -> anyhow::Result<T> {
        let read = serde_json::from_slice(answer);
        read.with_context(|| {
            format!(
                "{}{path} answered with something else; is it antiphon?",
                self.node
            )
        })
    }

    /// Asks, and returns the JSON of the answer as indented text.
    pub(super) async fn ask_for_json(&self, path: &str) -> anyhow::Result<String> {
        let answer: Value = self.ask_for(Method::GET, path, None).await?;
        let text = serde_json::to_string_pretty(&answer);
        Ok(text.context("the answer has no JSON")? + "\n")
    }

    fn refusal(&self, answer: &Answer) -> String {
        let reason = reason(answer);
        match (answer.status, &self.authorization) {
            (StatusCode::UNAUTHORIZED, None) => format!(
                "{} wants to know who asks: give --data-dir of a node on this machine, \
                 or the admin password by --password-file or {PASSWORD_VARIABLE}",
                self.node
            ),
            (StatusCode::UNAUTHORIZED, Some(_)) => format!(
                "{} does not accept the token or password ({reason}): give --data-dir of this very node, \
                 or the right admin password by --password-file or {PASSWORD_VARIABLE}",
                self.node
            ),
            _ => format!("{}: {reason}", self.node),
        }
    }
}

/// The reason that a node gives for its refusal.
fn reason(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct RefusalBody {
        error: String,
    }
    let text = match serde_json::from_slice::<RefusalBody>(&answer.body) {
        Ok(refusal) => refusal.error,
        Err(_) => match String::from_utf8_lossy(&answer.body).trim() {
            // A page of a proxy says no more than its status.
            text if text.is_empty() || text.contains('<') => answer.status.to_string(),
            text => format!("{}: {text}", answer.status),
        },
    };
    terminal::shortened(&terminal::printable(&text), MAX_ERROR_LETTERS)
}

/// Whether a node is asked by an address that is always this machine's own.
fn is_here(node: &NodeUrl) -> bool {
    let url = node.to_string().parse::<Uri>().ok();
    let host = url.as_ref().and_then(Uri::host).unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || ip.is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The token of the node that would run here with the settings of this machine.
fn usual_token(machine: &Machine) -> Option<String> {
    let settings = Settings::load(RunArgs::default(), machine).ok()?;
    read_credential(&settings.data_dir.join("token")).ok()
}

/// The first line of a file that holds a token or password.
pub(super) fn read_credential(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    // Some editors put a byte order mark before a text.
    let line = text.trim_start_matches('\u{feff}').lines().next();
    let line = line.unwrap_or_default().trim_end();
    if line.is_empty() || line.len() > MAX_CREDENTIAL_BYTES {
        bail!(
            "{} holds no token or password in its first line",
            path.display()
        );
    }
    Ok(line.to_owned())
}

/// The login of the cluster's admin.
fn admin(password: &str) -> HeaderValue {
    basic(&format!("admin:{password}"))
}

fn bearer(token: &str) -> anyhow::Result<HeaderValue> {
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.context("a token has no control characters in it")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn args(data_dir: Option<&Path>, password_file: Option<&Path>) -> NodeArgs {
        NodeArgs {
            node: "http://h:1".parse().unwrap(),
            data_dir: data_dir.map(Path::to_owned),
            password_file: password_file.map(Path::to_owned),
            node_ca: None,
        }
    }

    fn right(args: NodeArgs, variables: &[(&str, &str)]) -> anyhow::Result<Option<String>> {
        let api = Api::new(args, &Machine::new(variables, "h"))?;
        let text = |value: HeaderValue| value.to_str().unwrap().to_owned();
        Ok(api.authorization.map(text))
    }

    #[test]
    fn the_right_comes_from_the_nearest_place() {
        let dir = tempfile::tempdir().unwrap();
        let (data, home) = (dir.path().join("data"), dir.path().join("home"));
        let usual = home.join(".local/share/antiphon");
        fs::create_dir_all(&usual).unwrap();
        fs::create_dir(&data).unwrap();
        fs::write(data.join("token"), "t1\n").unwrap();
        fs::write(dir.path().join("password"), "p w \r\nmore").unwrap();
        let with_home = [("HOME", home.to_str().unwrap())];
        let password = dir.path().join("password");
        let got = right(args(Some(&data), None), &[(PASSWORD_VARIABLE, "x")]).unwrap();
        assert_eq!(got.as_deref(), Some("Bearer t1"));
        let got = right(args(None, Some(&password)), &[(PASSWORD_VARIABLE, "x")]).unwrap();
        assert_eq!(got, Some(format!("Basic {}", STANDARD.encode("admin:p w"))));
        let got = right(args(None, None), &[(PASSWORD_VARIABLE, "x")]).unwrap();
        assert_eq!(got, Some(format!("Basic {}", STANDARD.encode("admin:x"))));
        assert_eq!(right(args(None, None), &with_home).unwrap(), None);
        fs::write(usual.join("token"), "t2").unwrap();
        let got = right(args(None, None), &with_home).unwrap();
        assert_eq!(got.as_deref(), Some("Bearer t2"));
    }

    #[test]
    fn only_this_machine_is_shown_a_token_that_nobody_named() {
        let home = tempfile::tempdir().unwrap();
        let usual = home.path().join(".local/share/antiphon");
        fs::create_dir_all(&usual).unwrap();
        fs::write(usual.join("token"), "t").unwrap();
        let seeing = |node: &str, password: Option<&str>| {
            let node = node.parse().unwrap();
            let mut variables = vec![("HOME", home.path().to_str().unwrap())];
            variables.extend(password.map(|it| (PASSWORD_VARIABLE, it)));
            let args = NodeArgs {
                node,
                ..args(None, None)
            };
            let api = Api::seeing(args, &Machine::new(&variables, "h"));
            api.unwrap().authorization.is_some()
        };
        for here in [
            "http://127.0.0.1:8001",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(seeing(here, None), "{here}");
        }
        assert!(!seeing("http://b.example:8000", None));
        assert!(seeing("http://b.example:8000", Some("pw")), "it was told");
    }

    #[test]
    fn another_command_gets_the_same_flags() {
        let (data, file) = (Path::new("/d"), Path::new("/p"));
        assert_eq!(args(None, None).flags(), " --node http://h:1");
        let flags = args(Some(data), None).flags();
        assert_eq!(flags, " --node http://h:1 --data-dir /d");
        let flags = args(None, Some(file)).flags();
        assert_eq!(flags, " --node http://h:1 --password-file /p");
    }

    #[test]
    fn a_place_that_was_named_must_hold_something() {
        let dir = tempfile::tempdir().unwrap();
        assert!(right(args(Some(dir.path()), None), &[]).is_err());
        fs::write(dir.path().join("token"), "\n").unwrap();
        assert!(right(args(Some(dir.path()), None), &[]).is_err());
        assert!(right(args(Some(dir.path()), Some(dir.path())), &[]).is_err());
    }

    #[test]
    fn a_refusal_is_shown_in_the_words_of_the_node() {
        let answer = |status, body: &'static str| Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let api = Api::public("http://h:1".parse().unwrap(), None);
        let text = api.refusal(&answer(
            StatusCode::CONFLICT,
            r#"{"error":"it \u001bexists"}"#,
        ));
        assert_eq!(text, "http://h:1: it  exists");
        let text = api.refusal(&answer(StatusCode::NOT_FOUND, "<html>"));
        assert_eq!(text, "http://h:1: 404 Not Found");
        let plain = "ask by https://\n";
        let text = api.refusal(&answer(StatusCode::UPGRADE_REQUIRED, plain));
        assert_eq!(text, "http://h:1: 426 Upgrade Required: ask by https://");
        let text = api.refusal(&answer(StatusCode::UNAUTHORIZED, ""));
        assert!(text.contains("--password-file"), "{text}");
    }
}
