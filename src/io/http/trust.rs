//! The servers of HTTPS that are trusted: those with a certificate of an authority that this machine trusts.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` name other authorities, as with most programs.

use std::fmt;
use std::io;
use std::sync::Arc;

use hyper::Uri;
use hyper::http::uri::Scheme;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tower_service::Service;

use super::BoxError;
use super::dialler::{Dialler, Metered};
use crate::wire::pem::{self, BadPem};

/// The trust of this machine; its authorities are read when the first server of HTTPS is asked, and kept.
pub(super) static SYSTEM: Trust = Trust(OnceCell::const_new());

/// The proof that a server of HTTPS has to give.
pub struct Trust(OnceCell<Arc<ClientConfig>>);

/// Why a text names no authorities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthorities {
    /// The text is no PEM.
    #[error("{}{why}", .why.line().map(|line| format!("line {line}: ")).unwrap_or_default())]
    Pem {
        /// The fault.
        #[from]
        why: BadPem,
    },
    /// The text holds no certificate.
    #[error("there is no certificate in it: a line -----BEGIN CERTIFICATE----- is missing")]
    Nothing,
    /// One of its certificates cannot be an authority's.
    #[error("line {0}: this is not a certificate of an authority")]
    Damaged(usize),
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

impl Trust {
    /// Trusts what this machine trusts.
    pub fn system() -> &'static Self {
        &SYSTEM
    }

    /// Trusts only the authorities of these certificates (PEM).
    pub fn only(authorities: &str) -> Result<Self, BadAuthorities> {
        let mut roots = RootCertStore::empty();
        for section in pem::sections(authorities)? {
            if section.is_certificate() {
                let added = roots.add(CertificateDer::from(section.der));
                added.map_err(|_| BadAuthorities::Damaged(section.line))?;
            }
        }
        if roots.is_empty() {
            return Err(BadAuthorities::Nothing);
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.expect("the library's provider has the versions of the library");
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        Ok(Self::of(config))
    }

    /// Trusts only what `config` does.
    pub(super) fn of(config: ClientConfig) -> Self {
        Self(OnceCell::new_with(Some(Arc::new(config))))
    }

    /// Opens a connection to a server; to one of HTTPS only when it is trusted.
    pub(super) async fn connect(
        &self,
        mut dialler: Dialler,
        url: &Uri,
    ) -> Result<MaybeHttpsStream<TokioIo<Metered>>, BoxError> {
        if url.scheme() != Some(&Scheme::HTTPS) {
            return Ok(MaybeHttpsStream::Http(dialler.call(url.clone()).await?));
        }
        let config = self.0.get_or_try_init(read_authorities).await?;
        let mut connector = HttpsConnector::from((dialler, config.clone()));
        connector.call(url.clone()).await
    }
}

/// Reads the authorities of the system, some hundred kilobytes of files.
async fn read_authorities() -> Result<Arc<ClientConfig>, BoxError> {
    let reading = spawn_blocking(|| {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let versions = builder.with_safe_default_protocol_versions();
        let roots = versions.map_err(io::Error::other)?.with_native_roots()?;
        Ok::<_, io::Error>(roots.with_no_client_auth())
    });
    Ok(Arc::new(reading.await??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_certificates() {
        let (name, pair) = ("ca.example".to_owned(), rcgen::KeyPair::generate().unwrap());
        let params = rcgen::CertificateParams::new(vec![name]).unwrap();
        let good = params.self_signed(&pair).unwrap().pem();
        assert!(Trust::only(&format!("the root\n{good}{good}")).is_ok());
        let old = good.replace(" CERTIFICATE", " X509 CERTIFICATE");
        assert!(Trust::only(&old).is_ok());
        assert!(matches!(Trust::only(""), Err(BadAuthorities::Pem { .. })));
        let other = "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n";
        assert_eq!(Trust::only(other).unwrap_err(), BadAuthorities::Nothing);
        let damaged = "\n-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        assert_eq!(
            Trust::only(damaged).unwrap_err(),
            BadAuthorities::Damaged(2)
        );
    }
}
