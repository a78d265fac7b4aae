//! The greeting of a link: both sides tell their names, and two live nodes with one name are detected.

use std::time::Duration;

use quinn::Connection;
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

use super::exchange::Exchange;
use super::{CLOSE_NAME_IN_USE, ExchangeError, GREETING_TIMEOUT, KEEP_ALIVE, LinksInner};
use crate::io::tls;
use crate::model::node::NodeName;
use crate::wire::frame::{Frame, Hello, LinkRefusal};

/// How long a link must be silent before another life of its node is believed to have replaced it: two
/// keep-alives of the peer and a round trip. A live peer is heard within it.
const LIFE_SIGN: Duration = Duration::from_millis(2 * KEEP_ALIVE.as_millis() as u64 + 250);

/// The result of a greeting.
#[derive(Debug)]
pub(super) enum Greeting {
    /// A link to this node can begin.
    Welcome(Hello),
    /// One side does not want the link.
    Refused(LinkRefusal),
}

/// The dialling side: sends its HELLO and waits for the other.
pub(super) async fn ask(
    shared: &LinksInner,
    connection: &Connection,
) -> Result<Greeting, ExchangeError> {
    let talk = async {
        let streams = connection.open_bi().await?;
        let mut exchange = Exchange::new(streams, connection, &shared.counters);
        exchange.send(&Frame::Hello(shared.hello.clone())).await?;
        exchange.finish();
        match exchange.receive().await? {
            Some(Frame::Hello(hello)) => Ok(settle(shared, connection, hello).await),
            Some(Frame::Refused(refusal)) => Ok(Greeting::Refused(refusal)),
            _ => Err(ExchangeError::Unexpected),
        }
    };
    timeout(GREETING_TIMEOUT, talk)
        .await
        .unwrap_or(Ok(Greeting::Refused(LinkRefusal::BadHello)))
}

/// The dialled side: reads the HELLO, decides, and answers.
pub(super) async fn answer(
    shared: &LinksInner,
    connection: &Connection,
) -> Result<Greeting, ExchangeError> {
    let talk = async {
        let streams = connection.accept_bi().await?;
        let mut exchange = Exchange::new(streams, connection, &shared.counters);
        let Some(Frame::Hello(hello)) = exchange.receive().await? else {
            return Err(ExchangeError::Unexpected);
        };
        let greeting = settle(shared, connection, hello).await;
        let reply = match &greeting {
            Greeting::Welcome(_) => Frame::Hello(shared.hello.clone()),
            Greeting::Refused(refusal) => Frame::Refused(refusal.clone()),
        };
        exchange.send(&reply).await?;
        exchange.finish();
        if matches!(greeting, Greeting::Refused(_)) {
            exchange.hung_up().await; // To close at once could overtake the answer.
        }
        Ok(greeting)
    };
    timeout(GREETING_TIMEOUT, talk)
        .await
        .unwrap_or(Ok(Greeting::Refused(LinkRefusal::BadHello)))
}

/// Decides whether a link with the node is accepted.
async fn settle(shared: &LinksInner, connection: &Connection, hello: Hello) -> Greeting {
    if certified_name(connection).as_ref() != Some(&hello.name) {
        return Greeting::Refused(LinkRefusal::BadHello);
    }
    let ours = &shared.hello;
    if hello.name == ours.name {
        return Greeting::Refused(if hello.generation == ours.generation {
            LinkRefusal::Yourself
        } else {
            report_own_name(shared, &hello);
            LinkRefusal::NameInUse {
                holder: ours.mesh_address,
            }
        });
    }
    let others = shared.registry.lock().other_lives(&hello);
    for (other, link) in others {
        if other.generation > hello.generation {
            link.close(CLOSE_NAME_IN_USE, hello.mesh_address.to_string().as_bytes());
        } else if is_alive(&link).await {
            return Greeting::Refused(LinkRefusal::NameInUse {
                holder: other.mesh_address,
            });
        }
    }
    Greeting::Welcome(hello)
}

/// Two nodes with this node's name have met directly: the younger one gives way.
fn report_own_name(shared: &LinksInner, other: &Hello) {
    if shared.hello.generation > other.generation {
        shared.report_conflict(other.mesh_address);
    }
}

/// Whether the peer of this link is heard within a life sign's time.
async fn is_alive(link: &Connection) -> bool {
    let heard = |link: &Connection| link.stats().udp_rx.datagrams;
    let before = heard(link);
    let closed = timeout(LIFE_SIGN, link.closed()).await.is_ok();
    !closed && heard(link) > before
}

fn certified_name(connection: &Connection) -> Option<NodeName> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    tls::name_in(chain.first()?)
}
