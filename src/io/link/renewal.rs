//! A secret that is read again: new links use it, and links that were made with a removed key end.

use quinn::{ClientConfig, Connection};
use rustls::pki_types::CertificateDer;

use super::{CLOSE_DONE, LinkError, Links, LinksInner, client_config, server_config};
use crate::io::tls::{ClusterSecret, Identity};

impl Links {
    /// Sets the cluster's secret. Links to peers that do not hold it are closed; returns how many. Peers that do hold
    /// it, and have only not shown it yet, have a new link within a second.
    pub fn renew(&self, secret: &ClusterSecret) -> Result<usize, LinkError> {
        let shared = &self.0;
        let identity = Identity::issue(secret, &shared.hello.name)?;
        let (client, server) = (client_config(&identity)?, server_config(&identity)?);
        *shared.client.lock() = client;
        shared.endpoint.set_server_config(Some(server));
        let links = shared.registry.lock().connections();
        let strangers = links.iter().filter(|link| !is_trusted(&identity, link));
        let closed = strangers.map(|link| link.close(CLOSE_DONE, b"another secret"));
        Ok(closed.count())
    }
}

impl LinksInner {
    /// The configuration for dialling a link.
    pub(super) fn client(&self) -> ClientConfig {
        self.client.lock().clone()
    }
}

fn is_trusted(identity: &Identity, link: &Connection) -> bool {
    let chain = link.peer_identity();
    let chain = chain.and_then(|it| it.downcast::<Vec<CertificateDer<'static>>>().ok());
    chain.is_some_and(|chain| identity.trusts(&chain))
}
