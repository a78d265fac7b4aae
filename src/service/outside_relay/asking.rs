//! Asks an address for its stream: follows redirects and one playlist, and waits until audio flows.

use std::collections::VecDeque;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::InvalidUri;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use tracing::debug;

use super::upstream::Upstream;
use super::{OutsideRelayConfig, is_own};
use crate::io::http::stream::{self, OpenAnswer, host_and_port, led_to};
use crate::io::http::{HttpError, Question, with_causes};
use crate::media::format::detect::Format;
use crate::media::icy::Separator;
use crate::model::mount::MountSpec;
use crate::model::outside_relay::RelayAddress;
use crate::model::seat::Epoch;
use crate::model::stream::StreamHead;
use crate::proto::own_address::node_at;
use crate::proto::view::MeshView;
use crate::wire::icecast::playlist::Playlist;
use crate::wire::icecast::playlist_reader::MAX_PLAYLIST_BYTES;
use crate::wire::icecast::source_head;
use crate::wire::icecast::upstream::{Offered, TITLES_HEADER, judge, request_headers};

/// How long a server may take until the head of its answer is there, with the look-up of its name.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long all of it may take, until the audio is recognised: servers send a burst at once, and without one five seconds hold
/// 16 KiB of 26 kbit/s. One that sends a byte a second is given up then.
const FLOW_LIMIT: Duration = Duration::from_secs(10);
/// How many redirects are followed: from HTTP to HTTPS, to a balancer, to its server, and as many again.
const MAX_REDIRECTS: usize = 6;

/// A stream that flows.
pub(super) struct Flowing {
    pub(super) audio: Upstream,
    pub(super) format: Format,
    pub(super) head: StreamHead,
    pub(super) stated_bps: u64,
}

/// Asks an address. The error says what is wrong, in words for an operator.
pub(super) async fn ask(
    config: &OutsideRelayConfig,
    address: &RelayAddress,
    spec: &MountSpec,
) -> Result<Flowing, String> {
    let asked = timeout(FLOW_LIMIT, flow(config, address, spec)).await;
    asked.unwrap_or_else(|_| {
        let limit = FLOW_LIMIT.as_secs();
        Err(format!(
            "it sends too little: nothing that could be recognised within {limit} s"
        ))
    })
}

async fn flow(
    config: &OutsideRelayConfig,
    address: &RelayAddress,
    spec: &MountSpec,
) -> Result<Flowing, String> {
    // The entries of a playlist: of several servers the first that works is heard.
    let fingerprint = config.fingerprint.borrow().clone();
    let first = question(&fingerprint, &address.url(), address.login().as_deref());
    let first = first.map_err(|error| format!("it cannot be asked: {error}"))?;
    let mut open = VecDeque::from([first]);
    let mut has_playlist = false;
    let mut why = String::new();
    while let Some(question) = open.pop_front() {
        let found = match follow(config, question).await {
            Ok(found) => found,
            Err(error) => {
                why = error;
                continue;
            }
        };
        match found.playlist {
            None => {
                let plain = without_titles(&found);
                match begin(found, spec).await {
                    Ok(flowing) => return Ok(flowing),
                    Err(error) => {
                        why = error;
                        plain.into_iter().for_each(|it| open.push_front(it));
                    }
                }
            }
            Some(_) if has_playlist => why = "its playlist leads to another playlist".to_owned(),
            Some(kind) => {
                has_playlist = true;
                match entries(kind, found).await {
                    Ok(entries) => open.extend(entries),
                    Err(error) => why = error,
                }
            }
        }
    }
    Err(why)
}

/// The question at a URL, by which a mesh of this fingerprint is known again, with a login if there is one.
pub(in crate::service) fn question(
    fingerprint: &str,
    url: &str,
    login: Option<&str>,
) -> Result<Question, InvalidUri> {
    let mut headers = HeaderMap::new();
    for (name, value) in request_headers(fingerprint) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let question = Question {
        headers,
        ..Question::get(url.parse()?)
    };
    Ok(match login {
        Some(login) => question.with_login(login),
        None => question,
    })
}

/// An answer that is no redirect, and what was asked for it.
struct Found {
    question: Question,
    answer: OpenAnswer,
    playlist: Option<Playlist>,
}

/// Asks, and follows redirects.
async fn follow(config: &OutsideRelayConfig, mut question: Question) -> Result<Found, String> {
    for _ in 0..=MAX_REDIRECTS {
        refuse_own(&config.mesh.cluster.view(), &question.url)?;
        let answer = stream::open(&question, ANSWER_LIMIT).await;
        let answer = answer.map_err(|error| in_words(&error))?;
        let path = question.url.path();
        let offered = judge(&answer.head, path).map_err(|why| why.to_string())?;
        let location = match offered {
            Offered::Stream => {
                return Ok(Found {
                    question,
                    answer,
                    playlist: None,
                });
            }
            Offered::Playlist(kind) => {
                return Ok(Found {
                    question,
                    answer,
                    playlist: Some(kind),
                });
            }
            Offered::Elsewhere(location) => location,
        };
        let next = led_to(&question, &location);
        question = next.ok_or_else(|| not_followed("redirects"))?;
        debug!(host = question.url.host(), "redirected");
    }
    Err(format!(
        "it redirects more than {MAX_REDIRECTS} times: look at the address in a browser, and name the last one"
    ))
}

fn not_followed(verb: &str) -> String {
    format!(
        "it {verb} to where nobody is led: out of HTTPS, to another protocol or with a login; name that address itself if it \
         is right"
    )
}

/// Reads a playlist.
async fn entries(kind: Playlist, found: Found) -> Result<Vec<Question>, String> {
    let mut text = Vec::new();
    let mut body = found.answer.body.take(MAX_PLAYLIST_BYTES as u64);
    let read = body.read_to_end(&mut text).await;
    read.map_err(|error| format!("its playlist broke off: {error}"))?;
    let entries = kind.read(&String::from_utf8_lossy(&text));
    let entries = entries.map_err(|why| why.to_string())?;
    let led = entries.iter().filter_map(|it| led_to(&found.question, it));
    let led: Vec<Question> = led.collect();
    match led.is_empty() {
        true => Err(not_followed("leads by its playlist")),
        false => Ok(led),
    }
}

/// The same question without titles, if the answer says that it has some: where it says so wrongly, nothing is left of the
/// audio when they are taken out.
fn without_titles(found: &Found) -> Option<Question> {
    let mut plain = found.question.clone();
    let asked = plain.headers.remove(TITLES_HEADER);
    let said = source_head::metadata_interval(&found.answer.head.head);
    asked.and(said).map(|_| plain)
}

/// Waits until the audio of an answer is recognised.
async fn begin(found: Found, spec: &MountSpec) -> Result<Flowing, String> {
    let OpenAnswer { head, body } = found.answer;
    let has_titles = found.question.headers.contains_key(TITLES_HEADER);
    let said = source_head::stream_head(&head.head, spec.charset, 0, Epoch::default());
    let stated_bps = source_head::stated_bps(&head.head);
    let interval = source_head::metadata_interval(&head.head).filter(|_| has_titles);
    let separator = interval.map(|bytes| Separator::new(bytes, spec.charset));
    let mut audio = Upstream::new(body, separator);
    let format = audio.recognise(&said.content_type).await;
    let format = format.map_err(|why| why.to_string())?;
    debug!(format = format.name(), "the stream flows");
    let version = env!("CARGO_PKG_VERSION");
    Ok(Flowing {
        audio,
        format,
        head: StreamHead {
            user_agent: format!("antiphon/{version} (outside relay)"),
            ..said
        },
        stated_bps,
    })
}

/// Refuses an address of a node of this mesh: the stream would be its own.
fn refuse_own(view: &MeshView, url: &Uri) -> Result<(), String> {
    let asked = host_and_port(url);
    let own = asked.and_then(|(host, port)| node_at(view, &host, port));
    own.map_or(Ok(()), |name| Err(format!("it {}", is_own(name))))
}

/// Why a server cannot be asked, and what to do.
fn in_words(error: &HttpError) -> String {
    let causes = with_causes(error);
    let remedy = match error {
        HttpError::Unreachable(..) if causes.contains("dns error") => {
            "the name is not known: look whether it is written right, and whether this node can ask its name server"
        }
        HttpError::Unreachable(..) => "look whether the server runs, and the port",
        HttpError::Untrusted(..) => {
            "its certificate is not valid for that name, or of an authority that this machine does not trust: have it renewed, \
             or name the authority with SSL_CERT_FILE"
        }
        HttpError::TimedOut(..) => "the server hangs, or a firewall drops what is sent to it",
        _ => {
            "look whether there is an Icecast or Shoutcast at that port, and whether it wants https://"
        }
    };
    format!("{causes}; {remedy}")
}
