//! The servers of HTTPS that are trusted: those with a certificate of an authority that this machine trusts.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` name other authorities, as with most programs.

use std::io;
use std::sync::Arc;

use hyper::Uri;
use hyper::http::uri::Scheme;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::ring;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tower_service::Service;

use super::BoxError;
use super::dialler::{Dialler, Metered};

/// The trust of this machine; its authorities are read when the first server of HTTPS is asked, and kept.
pub(super) static SYSTEM: Trust = Trust(OnceCell::const_new());

/// The proof that a server of HTTPS has to give.
pub(super) struct Trust(OnceCell<Arc<ClientConfig>>);

impl Trust {
    /// Trusts only what `config` does.
    #[cfg(test)]
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
