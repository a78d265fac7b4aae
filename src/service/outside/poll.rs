//! Asks one outside server again and again, and gossips what it says.

use std::time::Duration;

use hyper::header::{HeaderValue, USER_AGENT};
use hyper::{StatusCode, Uri};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::Outside;
use crate::io::clock;
use crate::io::gossip::MAX_VALUE_BYTES;
use crate::io::http::{HttpError, Limits, Question, request_within, with_causes};
use crate::logic::forecast::OutsideBulletin;
use crate::model::caption::beginning;
use crate::model::outside::{OutsideReport, OutsideServer};
use crate::wire::gossip;
use crate::wire::outside;
use crate::wire::outside::BadAnswer;

/// The longest time from one question to the next.
const INTERVAL: Duration = Duration::from_secs(5);
/// The part of the interval by which a question may come sooner, so that the questions of all nodes drift apart.
const JITTER: f64 = 0.1;
/// How long an answer may take. With the interval and a second of gossip a dead server is known as such within
/// nine seconds, and two questions to a server are never under way at once.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(3),
    answer_bytes: outside::MAX_ANSWER_BYTES,
    redirects: 3,
};
/// The longest text of a failure in gossip.
const MAX_FAILURE_BYTES: usize = 300;

/// Why a server's load is not known now.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("its address is no URL")]
    Address,
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("it answers {0}: the login is missing or wrong")]
    Login(StatusCode),
    #[error("it answers {0}: there is no {1}")]
    NoPage(StatusCode, &'static str),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Answer(#[from] BadAnswer),
}

/// How the last question went. A change is logged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Unknown,
    Answering,
    Failing,
}

/// Polls the server until the job ends.
pub(super) async fn run(outside: &Outside, server: &OutsideServer) {
    let mut condition = Condition::Unknown;
    let mut number = 0;
    loop {
        let next_at = Instant::now() + INTERVAL.mul_f64(1.0 - JITTER * clock::random_share());
        // Before the question: a listener that is sent while it is under way may not be in the answer.
        let arrived = outside.load.sent_outside(&server.backend());
        number = clock::unix_ms().max(number + 1);
        let found = ask(server, number).await;
        condition = tell_operator(condition, found.as_ref());
        let bulletin = match found {
            Ok(report) => OutsideBulletin {
                report,
                failure: None,
                arrived,
            },
            Err(failure) => OutsideBulletin {
                report: OutsideReport {
                    number,
                    ..OutsideReport::default()
                },
                failure: Some(beginning(&with_causes(&failure), MAX_FAILURE_BYTES)),
                arrived,
            },
        };
        publish(outside, server, bulletin).await;
        sleep_until(next_at).await;
    }
}

async fn ask(server: &OutsideServer, number: u64) -> Result<OutsideReport, Failure> {
    let answer = request_within(question(server)?, LIMITS).await?;
    match answer.status {
        StatusCode::OK => Ok(outside::read(server, number, &answer.body)?),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(Failure::Login(status)),
        status @ StatusCode::NOT_FOUND => Err(Failure::NoPage(status, server.via.path())),
        status => Err(Failure::Status(status)),
    }
}

fn question(server: &OutsideServer) -> Result<Question, Failure> {
    let url = format!("{}{}", server.poll_url, server.via.path());
    let url: Uri = url.parse().map_err(|_| Failure::Address)?;
    let mut question = Question::get(url);
    let agent = concat!("antiphon/", env!("CARGO_PKG_VERSION"));
    let agent = HeaderValue::from_static(agent);
    question.headers.insert(USER_AGENT, agent);
    Ok(match &server.login {
        Some(login) => question.with_login(login.reveal()),
        None => question,
    })
}

fn tell_operator(before: Condition, found: Result<&OutsideReport, &Failure>) -> Condition {
    match found {
        Ok(report) => {
            if before != Condition::Answering {
                let (listeners, mounts) = (report.server.listeners, report.mounts.len());
                info!(listeners, mounts, "an outside server answers");
            }
            Condition::Answering
        }
        Err(failure) => {
            if before != Condition::Failing {
                let why = with_causes(failure);
                warn!(why, "an outside server is not used until it answers");
            }
            Condition::Failing
        }
    }
}

/// Gossips a bulletin, with as many of the latest counters as fit into one value.
async fn publish(outside: &Outside, server: &OutsideServer, mut bulletin: OutsideBulletin) {
    let mut text = gossip::write(&bulletin);
    while text.len() > MAX_VALUE_BYTES && bulletin.arrived.pop().is_some() {
        text = gossip::write(&bulletin);
    }
    let key = gossip::outside_key(&server.name);
    if let Err(error) = outside.mesh.gossip.set(&key, &text).await {
        warn!(%error, "an outside server's load is not gossiped");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hyper::header::AUTHORIZATION;

    use super::*;
    use crate::logic::forecast::Arrived;
    use crate::logic::records::outside::OUTSIDE_KIND;
    use crate::model::mount::MountName;
    use crate::model::node::{Generation, NodeName};
    use crate::model::outside::{Slots, Via};

    fn server(edits: &[(&str, &str)]) -> OutsideServer {
        let usual = [("public_url", "http://relay:8000"), ("mounts", "/a=/b")];
        let changes = OUTSIDE_KIND.changes(usual.iter().chain(edits).copied());
        let fields = changes.unwrap().into_fields();
        let name = NodeName::try_from("r").unwrap();
        crate::logic::records::outside::check(&name, None, &fields).unwrap()
    }

    #[test]
    fn each_way_to_ask_is_another_page() {
        for via in Via::ALL {
            let server = server(&[("poll_url", "http://10.0.0.1:1/x/"), ("via", via.word())]);
            let question = question(&server).unwrap();
            assert_eq!(
                question.url.to_string(),
                format!("http://10.0.0.1:1/x{}", via.path())
            );
            assert!(!question.headers.contains_key(AUTHORIZATION));
        }
    }

    #[test]
    fn a_login_is_sent_and_not_shown() {
        let server = server(&[("login", "admin:hackme")]);
        let question = question(&server).unwrap();
        assert_eq!(question.headers[AUTHORIZATION], "Basic YWRtaW46aGFja21l");
        assert!(!format!("{question:?} {server:?}").contains("YWRtaW46"));
        assert!(!format!("{server:?}").contains("hackme"));
    }

    #[test]
    fn the_largest_report_fits_into_gossip_without_its_counters() {
        let slots = Slots {
            listeners: u32::MAX,
            max_listeners: Some(u32::MAX),
        };
        let mount = |number: u32| MountName::try_from(format!("/{number:049}")).unwrap();
        let mounts: BTreeMap<_, _> = (0..32).map(|number| (mount(number), slots)).collect();
        let bulletin = OutsideBulletin {
            report: OutsideReport {
                number: u64::MAX,
                server: slots,
                mounts,
            },
            failure: None,
            arrived: vec![Arrived {
                from: NodeName::try_from("x".repeat(63)).unwrap(),
                generation: Generation(u64::MAX),
                listeners: u64::MAX,
            }],
        };
        assert!(gossip::write(&bulletin).len() < MAX_VALUE_BYTES);
    }
}
