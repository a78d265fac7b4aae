//! Keys of certificates to come, and what is sent to the authority in their stead.

use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use crate::model::https::CertificateName;

/// Why no request for a certificate can be made.
#[derive(Debug, thiserror::Error)]
pub enum NoRequest {
    /// The key cannot be read.
    #[error("the key that was kept for the certificate is damaged")]
    Key,
    /// The certificate library refused.
    #[error("the request for the certificate cannot be made: {0}")]
    Refused(#[from] rcgen::Error),
}

/// A new key (ECDSA P-256, which every player knows), as PEM.
pub fn generate() -> Result<String, NoRequest> {
    Ok(KeyPair::generate()?.serialize_pem())
}

/// A key (PKCS#8) that stands for nothing.
pub(super) fn throwaway() -> Result<Vec<u8>, NoRequest> {
    Ok(KeyPair::generate()?.serialize_der())
}

/// The request (PKCS#10) for a certificate of these names and this key.
pub(super) fn request(names: &[CertificateName], key: &str) -> Result<Vec<u8>, NoRequest> {
    let pair = KeyPair::from_pem(key).map_err(|_| NoRequest::Key)?;
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(&pair)?.der().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_makes_a_request_as_often_as_is_needed() {
        let names = ["a.example".parse().unwrap(), "*.a.example".parse().unwrap()];
        let key = generate().unwrap();
        for _ in 0..2 {
            assert!(!request(&names, &key).unwrap().is_empty());
        }
        let damaged = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
        for damaged in ["", damaged] {
            assert!(matches!(request(&names, damaged), Err(NoRequest::Key)));
        }
    }
}
