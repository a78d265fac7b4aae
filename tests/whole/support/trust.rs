//! The proof that a client of a test wants from a node that speaks TLS.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::ca::TestCa;

/// An authority, and the name that a node must have a certificate of its for.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
    /// The name, if it is not the host that is connected to.
    name: Option<ServerName<'static>>,
}

impl Trust {
    /// Trusts the tests' own authority.
    pub(crate) fn tests() -> Self {
        Self {
            config: TestCa::get().client(),
            name: None,
        }
    }

    /// Trusts the authorities in a PEM text, and wants this name whatever address it leads to.
    pub(crate) fn named(authorities: &str, name: &str) -> Self {
        let ders = CertificateDer::pem_slice_iter(authorities.as_bytes());
        Self {
            config: trusting(ders.map(Result::unwrap)),
            name: Some(ServerName::try_from(name.to_owned()).unwrap()),
        }
    }

    /// How such a client speaks TLS.
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }

    /// The name that it wants at `HOST:PORT`.
    pub(crate) fn name_at(&self, address: &str) -> ServerName<'static> {
        let (host, _) = address.rsplit_once(':').expect("HOST:PORT");
        let own = || ServerName::try_from(host.to_owned()).expect("a host");
        self.name.clone().unwrap_or_else(own)
    }
}

/// How a client speaks TLS that trusts these authorities and nobody else.
pub(crate) fn trusting(
    authorities: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    Arc::new(builder.with_no_client_auth())
}
