//! The cluster's secret, the certificate authority derived from it, and the certificates of its nodes.
//!
//! Every node holds the authority's private key, because every node holds the secret: a certificate
//! proves "this peer knows our secret" and names the peer. Its dates prove nothing, so they are as wide
//! as they can be, and a machine with a wrong clock still joins.

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519,
};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sha2::Sha256;

use crate::model::node::NodeName;

/// The name that every node's certificate carries beside its own, so that a peer of unknown name can be dialled.
pub const MESH_SERVER_NAME: &str = "mesh.antiphon.internal";
/// The protocol that both ends of a link must name.
pub const ALPN: &[u8] = b"antiphon/1";
/// The part after a node's name in its certificate.
const NODE_SUFFIX: &str = ".node.antiphon.internal";
/// The most keys of a keyring: one in use, one coming, one going, and one to spare.
const MAX_KEYS: usize = 4;
/// PKCS#8 version 1 wrapping of an Ed25519 seed (RFC 8410, section 7).
const ED25519_PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The cluster's keyring: a node that holds it is a member. All keys are accepted, the first issues.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterSecret(Vec<[u8; 32]>);

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a text is not a secret. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// No line holds a key.
    #[error(
        "there is no key in it: a key is a line of 64 hexadecimal digits, as `antiphon secret generate` prints it"
    )]
    Empty,
    /// A line is neither a key, nor empty, nor a comment.
    #[error("line {0} is not a key: a key is 64 hexadecimal digits, a comment begins with #")]
    Line(usize),
    /// More keys than a rotation needs.
    #[error("more than {MAX_KEYS} keys: remove the ones that no node uses any more")]
    TooMany,
}

impl ClusterSecret {
    /// Reads a keyring: a line per key, 64 hexadecimal digits each; empty lines and `#` comments are skipped.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            keys.push(parse_key(line).ok_or(BadSecret::Line(index + 1))?);
        }
        match keys.len() {
            0 => Err(BadSecret::Empty),
            1..=MAX_KEYS => Ok(Self(keys)),
            _ => Err(BadSecret::TooMany),
        }
    }

    /// Thirty-two bytes for one purpose, from the issuing key (HKDF-SHA256, RFC 5869).
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        derive(&self.0[0], purpose)
    }

    /// The same from every key, the issuing one first: for what must be understood while the secret is rotated.
    pub fn derive_each(&self, purpose: &str) -> Vec<[u8; 32]> {
        self.0.iter().map(|key| derive(key, purpose)).collect()
    }

    /// A fingerprint to compare whether two nodes share a secret: 16 hexadecimal digits, safe to show.
    pub fn fingerprint(&self) -> String {
        let bytes = self.derive("antiphon cluster fingerprint");
        bytes[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

fn parse_key(line: &str) -> Option<[u8; 32]> {
    if line.len() != 64 || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&line[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(key)
}

fn derive(key: &[u8; 32], purpose: &str) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(None, key)
        .expand(purpose.as_bytes(), &mut out)
        .expect("32 bytes are within what HKDF-SHA256 expands to");
    out
}

/// Why a node's certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The certificate library refused.
    #[error("cannot issue this node's certificate")]
    Issue(#[from] rcgen::Error),
    /// The TLS library refused.
    #[error("cannot set up TLS for the links")]
    Tls(#[from] rustls::Error),
    /// The TLS library refused the set of authorities.
    #[error("cannot set up the verification of peers")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Both sides of mutual TLS 1.3 for one node.
#[derive(Clone, Debug)]
pub struct Identity {
    /// For links that a peer dials.
    pub server: Arc<ServerConfig>,
    /// For links that this node dials.
    pub client: Arc<ClientConfig>,
    peers: Arc<dyn ClientCertVerifier>,
}

impl Identity {
    /// Issues this node a certificate, and trusts only peers with one from a key of the same keyring.
    pub fn issue(secret: &ClusterSecret, name: &NodeName) -> Result<Self, CertificateError> {
        let mut roots = RootCertStore::empty();
        for key in &secret.0 {
            let (params, authority) = authority(key)?;
            roots.add(params.self_signed(&authority)?.der().clone())?;
        }
        let roots = Arc::new(roots);
        let (params, authority) = authority(&secret.0[0])?;
        let issuer = Issuer::from_params(&params, &authority);
        let node_key = KeyPair::generate()?;
        let certificate = node_params(name)?.signed_by(&node_key, &issuer)?;
        let chain = vec![certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(node_key.serialize_der()));

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(clients.clone())
            .with_single_cert(chain.clone(), key.clone_key())?;
        server.alpn_protocols = vec![ALPN.to_vec()];

        let servers =
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_webpki_verifier(servers)
            .with_client_auth_cert(chain, key)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
            peers: clients,
        })
    }

    /// Whether a peer with these certificates holds a key of this keyring.
    pub fn trusts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let [certificate, others @ ..] = chain else {
            return false;
        };
        let now = UnixTime::now();
        let verdict = self.peers.verify_client_cert(certificate, others, now);
        verdict.is_ok()
    }
}

/// The authority of one key: the same on every node, because Ed25519 keys and this name depend on nothing else.
fn authority(key: &[u8; 32]) -> Result<(CertificateParams, KeyPair), rcgen::Error> {
    let mut pkcs8 = ED25519_PKCS8_PREFIX.to_vec();
    pkcs8.extend(derive(key, "antiphon certificate authority"));
    let pair =
        KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &PKCS_ED25519)?;
    let mut params = CertificateParams::default();
    let subject = format!(
        "antiphon cluster {}",
        ClusterSecret(vec![*key]).fingerprint()
    );
    params.distinguished_name.push(DnType::CommonName, subject);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok((params, pair))
}

fn node_params(name: &NodeName) -> Result<CertificateParams, rcgen::Error> {
    let own_name = format!("{name}{NODE_SUFFIX}");
    let mut params = CertificateParams::new(vec![MESH_SERVER_NAME.to_owned(), own_name])?;
    params
        .distinguished_name
        .push(DnType::CommonName, name.as_str());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    Ok(params)
}

/// The name in a peer's certificate, once TLS has verified it. `None` if it is not a node's.
pub fn name_in(certificate: &CertificateDer<'_>) -> Option<NodeName> {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    let mut names = parsed.valid_dns_names();
    names.find_map(|name| NodeName::try_from(name.strip_suffix(NODE_SUFFIX)?).ok())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn secret(digit: char) -> ClusterSecret {
        ClusterSecret::parse(&digit.to_string().repeat(64)).unwrap()
    }

    /// Runs a handshake in memory; the name that the server saw, or why there was none.
    fn handshake(server: &Identity, client: &Identity) -> Result<Option<NodeName>, rustls::Error> {
        let mut there = rustls::ServerConnection::new(server.server.clone())?;
        let name = MESH_SERVER_NAME.try_into().unwrap();
        let mut here = rustls::ClientConnection::new(client.client.clone(), name)?;
        let mut wire = Vec::new();
        for _ in 0..8 {
            wire.clear();
            here.write_tls(&mut wire).unwrap();
            there.read_tls(&mut wire.as_slice()).unwrap();
            there.process_new_packets()?;
            wire.clear();
            there.write_tls(&mut wire).unwrap();
            here.read_tls(&mut wire.as_slice()).unwrap();
            here.process_new_packets()?;
        }
        here.writer().write_all(b"x").unwrap();
        let mut last = Vec::new();
        here.write_tls(&mut last).unwrap();
        there.read_tls(&mut last.as_slice()).unwrap();
        there.process_new_packets()?;
        let mut byte = [0];
        there.reader().read_exact(&mut byte).unwrap();
        Ok(there
            .peer_certificates()
            .and_then(|chain| name_in(&chain[0])))
    }

    fn identity(secret: &ClusterSecret, name: &str) -> Identity {
        Identity::issue(secret, &NodeName::try_from(name).unwrap()).unwrap()
    }

    #[test]
    fn two_nodes_of_one_secret_know_each_other_by_name() {
        let (a, b) = (identity(&secret('1'), "a"), identity(&secret('1'), "b"));
        let seen = handshake(&a, &b).unwrap();
        assert_eq!(seen, Some(NodeName::try_from("b").unwrap()));
    }

    #[test]
    fn another_secret_completes_no_handshake() {
        let (a, b) = (identity(&secret('1'), "a"), identity(&secret('2'), "b"));
        assert!(handshake(&a, &b).is_err());
        assert!(handshake(&b, &a).is_err());
    }

    #[test]
    fn a_keyring_lets_a_secret_be_rotated() {
        let rolling =
            ClusterSecret::parse(&format!("{}\n{}", "2".repeat(64), "1".repeat(64))).unwrap();
        let old = ClusterSecret::parse(&format!("{}\n{}", "1".repeat(64), "2".repeat(64))).unwrap();
        let (a, b) = (identity(&rolling, "a"), identity(&old, "b"));
        assert!(handshake(&a, &b).is_ok());
        assert!(handshake(&b, &a).is_ok());
    }

    #[test]
    fn a_bad_secret_is_named_by_line_and_never_repeated() {
        assert_eq!(ClusterSecret::parse("# nothing\n\n"), Err(BadSecret::Empty));
        assert_eq!(
            ClusterSecret::parse("# a\nhunter2"),
            Err(BadSecret::Line(2))
        );
        let many = format!("{}\n", "1".repeat(64)).repeat(5);
        assert_eq!(ClusterSecret::parse(&many), Err(BadSecret::TooMany));
        assert_eq!(format!("{:?}", secret('1')), "***");
    }
}
