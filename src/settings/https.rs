//! The files of a node's certificate.

use std::path::PathBuf;

use super::SettingsError;

/// The files of a certificate; one may hold both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those above it.
    pub cert: PathBuf,
    /// The key of it.
    pub key: PathBuf,
}

impl TlsFiles {
    /// The files that are named, if any.
    pub(super) fn of(
        cert: Option<PathBuf>,
        key: Option<PathBuf>,
    ) -> Result<Option<Self>, SettingsError> {
        match (cert, key) {
            (Some(cert), key) => {
                let key = key.unwrap_or_else(|| cert.clone());
                Ok(Some(Self { cert, key }))
            }
            (None, Some(_)) => Err(SettingsError::KeyAlone),
            (None, None) => Ok(None),
        }
    }
}
