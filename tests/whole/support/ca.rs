//! An authority of the tests' own, and the certificates that it issues.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ServerConfig};

use super::node::done;
use super::trust::trusting;

/// The authority that all clients of the tests trust.
pub(crate) struct TestCa {
    params: CertificateParams,
    key: KeyPair,
    own: Certificate,
    client: Arc<ClientConfig>,
}

/// A certificate and its key, as text.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// The hosts of this machine.
const LOOPBACK: [&str; 2] = ["127.0.0.1", "localhost"];

static CA: LazyLock<TestCa> = LazyLock::new(TestCa::make);

impl TestCa {
    /// The one of this process.
    pub(crate) fn get() -> &'static Self {
        &CA
    }

    fn make() -> Self {
        let mut params = CertificateParams::default();
        let name = "antiphon test authority";
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        let client = trusting([own.der().clone()]);
        Self {
            params,
            key,
            own,
            client,
        }
    }

    /// A certificate for these hosts, valid until the end of a year.
    pub(crate) fn issue(&self, hosts: &[&str], until: i32) -> Issued {
        self.issue_with(&KeyPair::generate().unwrap(), hosts, until)
    }

    fn issue_with(&self, key: &KeyPair, hosts: &[&str], until: i32) -> Issued {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let issuer = Issuer::from_params(&self.params, &self.key);
        let cert = params.signed_by(key, &issuer).unwrap();
        Issued {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate for nodes on the loopback.
    pub(crate) fn issue_for_loopback(&self) -> Issued {
        self.issue(&LOOPBACK, 2040)
    }

    /// The same with a key of RSA, as openssl makes it.
    pub(crate) fn issue_rsa_for_loopback(&self) -> Issued {
        let mut openssl = Command::new("openssl");
        openssl.args([
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ]);
        let key = done(&openssl.output().unwrap());
        self.issue_with(&KeyPair::from_pem(&key).unwrap(), &LOOPBACK, 2040)
    }

    /// How a server on the loopback speaks TLS.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let own = self.issue_for_loopback();
        let chain = vec![CertificateDer::from_pem_slice(own.cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(chain, key);
        Arc::new(config.unwrap())
    }

    /// Writes its own certificate into a folder, for programs that are to trust it.
    pub(crate) fn write_into(&self, folder: &Path) -> PathBuf {
        let file = folder.join("ca.pem");
        fs::write(&file, self.own.pem()).unwrap();
        file
    }

    /// How a client trusts nobody else.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }
}

impl Issued {
    /// Writes both into a folder, each in one step. The arguments of `antiphon run` that name them.
    pub(crate) fn write_into(&self, folder: &Path) -> [String; 4] {
        let [cert, key] = [("cert.pem", &self.cert), ("key.pem", &self.key)].map(|(name, text)| {
            let (new, file) = (folder.join(format!("{name}.new")), folder.join(name));
            fs::write(&new, text).unwrap();
            fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
            fs::rename(&new, &file).unwrap();
            file.display().to_string()
        });
        ["--tls-cert".to_owned(), cert, "--tls-key".to_owned(), key]
    }
}
