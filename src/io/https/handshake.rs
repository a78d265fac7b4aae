//! The handshake of TLS with a client of the door.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello, NoServerSessionStorage};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::Instant;
use tokio_rustls::LazyConfigAcceptor;
use tracing::warn;

use super::certificates::{AtAddress, Certificates};
use super::tickets::Tickets;
use crate::io::door_stream::DoorStream;
use crate::io::tls::ClusterSecret;
use crate::logic::certificates::precedence::Ends;

/// The protocol that is spoken within TLS. Nothing here speaks HTTP/2.
const ALPN: &[u8] = b"http/1.1";
/// How often the log tells that clients ask for a certificate that is not there.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// TLS as this node speaks it with clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Https(Arc<HttpsParts>);

#[derive(Debug)]
struct HttpsParts {
    certificates: Certificates,
    tickets: Arc<Tickets>,
    /// For clients that know [`ALPN`].
    named: Arc<ServerConfig>,
    /// For all others: who names other protocols only is told of none, and most then speak HTTP/1.1 all the same.
    unnamed: Arc<ServerConfig>,
    /// A turn is taken for the costly part of a handshake, the signature: some 0.1 ms for ECDSA, 1 ms for RSA of
    /// 2048 bits and 5 ms for 4096. There are as many as processors, so that of a crowd no more are in the runtime's
    /// queue than can run: gossip and links wait for one signature, not for those of everybody who has just come.
    turns: Semaphore,
    complained: Mutex<Option<Instant>>,
}

/// A handshake that has come to nothing.
#[derive(Debug, thiserror::Error)]
#[error("no TLS with this client: {}", told(.why))]
pub struct NoTls {
    /// The reason.
    #[source]
    pub why: io::Error,
    /// The connection, on which an alert has told the client.
    pub socket: Option<TcpStream>,
}

/// The reason in words that tell an operator what to make of it.
fn told(why: &io::Error) -> String {
    use rustls::Error;
    use rustls::PeerIncompatible::{
        SignatureAlgorithmsExtensionRequired, SupportedVersionsExtensionRequired, Tls12NotOffered,
        Tls12NotOfferedOrEnabled,
    };
    let inner = why.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(Error::PeerIncompatible(
            SignatureAlgorithmsExtensionRequired
            | SupportedVersionsExtensionRequired
            | Tls12NotOffered
            | Tls12NotOfferedOrEnabled,
        )) => "it knows only versions of TLS before 1.2, which are not safe".to_owned(),
        _ => why.to_string(),
    }
}

impl Https {
    /// Speaks with these certificates. What clients resume is sealed by the cluster's secret.
    pub fn new(secret: &ClusterSecret, certificates: Certificates) -> Result<Self, rustls::Error> {
        let tickets = Arc::new(Tickets::new(secret));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(certificates.clone()));
        config.ticketer = tickets.clone();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let mut named = config.clone();
        named.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self(Arc::new(HttpsParts {
            certificates,
            tickets,
            named: Arc::new(named),
            unnamed: Arc::new(config),
            turns: Semaphore::new(thread::available_parallelism().map_or(1, usize::from)),
            complained: Mutex::default(),
        })))
    }

    /// The certificates that clients are answered with.
    pub fn certificates(&self) -> &Certificates {
        &self.0.certificates
    }

    /// Seals by another secret from now on.
    pub fn renew(&self, secret: &ClusterSecret) {
        self.0.tickets.renew(secret);
    }

    /// Shakes hands with a client that begins so. Has no time limit of its own; what a client sends meanwhile is kept
    /// up to 64 KiB.
    pub async fn accept(&self, socket: TcpStream) -> Result<DoorStream, NoTls> {
        let ends = ends_of(&socket);
        let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), socket);
        let begun = match (&mut acceptor).await {
            Ok(begun) => begun,
            Err(why) => {
                let socket = acceptor.take_io();
                return Err(NoTls { why, socket });
            }
        };
        let config = self.config_for(&begun.client_hello(), ends);
        let turn = self.0.turns.acquire().await;
        // The runtime would run whoever waits for a turn as soon as one is free, three in a row, and all else after them:
        // of a crowd that came at once a new client heard nothing for seconds. So whoever has a turn lets all others go first.
        yield_now().await;
        let rest = begun.into_stream(config); // signs
        drop(turn);
        match rest.into_fallible().await {
            Ok(stream) => Ok(DoorStream::from(stream)),
            Err((why, socket)) => {
                self.complain_without_certificate();
                let socket = Some(socket);
                Err(NoTls { why, socket })
            }
        }
    }

    /// How a client is spoken to that begins so, by such a connection.
    fn config_for(&self, hello: &ClientHello<'_>, ends: Option<Ends>) -> Arc<ServerConfig> {
        let knows_ours = hello
            .alpn()
            .is_some_and(|mut names| names.any(|name| name == ALPN));
        let config = match knows_ours {
            true => &self.0.named,
            false => &self.0.unnamed,
        };
        if hello.server_name().is_some() {
            return config.clone();
        }
        let mut config = ServerConfig::clone(config); // some pointers
        config.cert_resolver = Arc::new(AtAddress {
            certificates: self.0.certificates.clone(),
            ends,
        });
        Arc::new(config)
    }

    /// Tells the operator why clients cannot be spoken to, but not for each.
    fn complain_without_certificate(&self) {
        if !self.0.certificates.is_empty() {
            return;
        }
        let mut complained = self.0.complained.lock();
        if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            *complained = Some(Instant::now());
            warn!(
                "a client asks for HTTPS, and this node has no certificate: let the mesh get some by antiphon cert enable, or \
                 name one by tls_cert and tls_key"
            );
        }
    }
}

/// The addresses of a connection, while it is there.
fn ends_of(socket: &TcpStream) -> Option<Ends> {
    Some(Ends {
        own: socket.local_addr().ok()?.ip(),
        client: socket.peer_addr().ok()?.ip(),
    })
}

/// Clients for tests.
#[cfg(test)]
pub(crate) mod samples {
    use std::net::TcpStream;

    use rustls::{
        ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, ServerConnection, StreamOwned,
        SupportedProtocolVersion,
    };

    use super::super::certificate::Certificate;
    use super::*;

    /// TLS with this certificate, in a mesh whose secret is this digit.
    pub(crate) fn https(certificate: &Certificate, secret: char) -> Https {
        let secret = ClusterSecret::parse(&secret.to_string().repeat(64)).unwrap();
        let certificates = Certificates::default();
        certificates.set_files(vec![certificate.clone()]);
        Https::new(&secret, certificates).unwrap()
    }

    /// A client that trusts this certificate, and speaks these versions.
    pub(crate) fn client(
        certificate: &Certificate,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.key.cert[0].clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// The end of a client, and the state of the node's end, once hands are shaken over these sockets.
    pub(crate) fn sessions(
        player: TcpStream,
        node: &TcpStream,
    ) -> (StreamOwned<ClientConnection, TcpStream>, ServerConnection) {
        let certificate = super::super::certificate::samples::certificate(&["a.example"], 2030);
        let config = https(&certificate, '1').0.named.clone();
        let mut server = ServerConnection::new(config).unwrap();
        let name = "a.example".try_into().unwrap();
        let client = client(&certificate, ALL_VERSIONS);
        let client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut client = StreamOwned::new(client, player);
        std::thread::scope(|scope| {
            scope.spawn(|| client.conn.complete_io(&mut client.sock).unwrap());
            while server.is_handshaking() || server.wants_write() {
                server.complete_io(&mut { node }).unwrap();
            }
        });
        (client, server)
    }
}

#[cfg(test)]
mod tests {
    use rustls::{ALL_VERSIONS, ClientConfig, HandshakeKind};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsConnector;

    use super::super::certificate::Certificate;
    use super::super::certificate::samples::certificate;
    use super::samples::{client, https};
    use super::*;

    /// The kind of the handshake of such a client, or the client's error.
    async fn shake(https: &Https, config: &Arc<ClientConfig>) -> io::Result<HandshakeKind> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialling = TcpStream::connect(door.local_addr().unwrap());
        let (socket, accepted) = tokio::join!(dialling, door.accept());
        let connector = TlsConnector::from(config.clone());
        let name = "a.example".try_into().unwrap();
        let (stream, served) = tokio::join!(
            connector.connect(name, socket.unwrap()),
            https.accept(accepted.unwrap().0)
        );
        let mut stream = stream?;
        let mut served = served.unwrap();
        // Tickets come behind the handshake.
        served.write_all(b"x").await.unwrap();
        served.flush().await.unwrap();
        stream.read_u8().await.unwrap();
        Ok(stream.get_ref().1.handshake_kind().unwrap())
    }

    fn certificate_of_a() -> Certificate {
        certificate(&["a.example"], 2030)
    }

    #[tokio::test]
    async fn a_session_is_resumed_at_another_node() {
        let certificate = certificate_of_a();
        let (here, there) = (https(&certificate, '1'), https(&certificate, '1'));
        let stranger = https(&certificate, '2');
        for version in ALL_VERSIONS {
            let config = Arc::new(client(&certificate, &[*version]));
            assert_eq!(shake(&here, &config).await.unwrap(), HandshakeKind::Full);
            assert_eq!(
                shake(&there, &config).await.unwrap(),
                HandshakeKind::Resumed
            );
            assert_eq!(
                shake(&stranger, &config).await.unwrap(),
                HandshakeKind::Full
            );
        }
    }

    #[tokio::test]
    async fn a_client_of_another_protocol_is_spoken_to_all_the_same() {
        let certificate = certificate_of_a();
        let https = https(&certificate, '1');
        for names in [&[b"h2".to_vec()][..], &[], &[b"h2".to_vec(), ALPN.to_vec()]] {
            let mut config = client(&certificate, ALL_VERSIONS);
            config.alpn_protocols = names.to_vec();
            assert!(shake(&https, &Arc::new(config)).await.is_ok(), "{names:?}");
        }
    }

    #[tokio::test]
    async fn without_a_certificate_the_client_is_told() {
        let certificate = certificate_of_a();
        let none = https(&certificate, '1');
        none.certificates().set_files(Vec::new());
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialling = TcpStream::connect(door.local_addr().unwrap());
        let (socket, accepted) = tokio::join!(dialling, door.accept());
        let connector = TlsConnector::from(Arc::new(client(&certificate, ALL_VERSIONS)));
        let (told, failed) = tokio::join!(
            connector.connect("a.example".try_into().unwrap(), socket.unwrap()),
            none.accept(accepted.unwrap().0)
        );
        assert!(told.unwrap_err().to_string().contains("alert"));
        assert!(failed.unwrap_err().socket.is_some());
        assert!(none.0.complained.lock().is_some());
    }
}
