//! The beginning of a connection: TLS, or a request as it is.

use tokio::time::{Instant, timeout_at};

use super::Visitor;
use crate::io::answer;
use crate::io::https::handshake::{Https, NoTls};
use crate::wire::http::upgrade::SWITCHING_TO_TLS;
use crate::wire::icecast::shoutcast::PortUse;

/// The first byte of a TLS connection: the type of a record that carries a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// How a client has begun.
#[derive(Debug)]
pub enum Greeting {
    /// The visitor's first request can be read.
    Ready(Visitor),
    /// The visitor speaks without TLS, where that alone is spoken.
    NotTls(Visitor),
    /// The handshake has come to nothing.
    NoTls(NoTls),
    /// The client has left, or said nothing in time.
    Gone,
}

/// Awaits a client's first byte, and shakes hands if it speaks TLS: on a port for HTTP and HTTPS the byte decides.
pub async fn greet(visitor: Visitor, https: &Https, deadline: Instant) -> Greeting {
    let port = visitor.place.port;
    if port == PortUse::Shoutcast {
        return Greeting::Ready(visitor);
    }
    let mut first = [0];
    let peeking = visitor.stream.socket().peek(&mut first);
    match timeout_at(deadline, peeking).await {
        Ok(Ok(1..)) => {}
        Ok(Ok(0) | Err(_)) | Err(_) => return Greeting::Gone,
    }
    match first[0] == TLS_HANDSHAKE {
        true => shake_hands(visitor, https, deadline).await,
        false if port == PortUse::Https => Greeting::NotTls(visitor),
        false => Greeting::Ready(visitor),
    }
}

/// Lets a client that has asked for it go on by TLS, on the same connection. It has as long as for a head.
pub async fn go_on_by_tls(mut visitor: Visitor, https: &Https) -> Greeting {
    let deadline = visitor.place.head_deadline();
    let told = answer::send(&mut visitor.stream, SWITCHING_TO_TLS).await;
    match told {
        Ok(()) => shake_hands(visitor, https, deadline).await,
        Err(_) => Greeting::Gone,
    }
}

async fn shake_hands(visitor: Visitor, https: &Https, deadline: Instant) -> Greeting {
    let (socket, _) = visitor.stream.into_parts();
    match timeout_at(deadline, https.accept(socket)).await {
        Ok(Ok(stream)) => Greeting::Ready(Visitor { stream, ..visitor }),
        Ok(Err(why)) => Greeting::NoTls(why),
        Err(_) => Greeting::Gone,
    }
}
