//! TLS for both protocols: a certificate from files, or a self-signed pair made once. A reload opens it anew; connections
//! that are open keep the old one.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::{Config, ConfigError};

/// PostgreSQL 17 clients insist on this name when they begin with TLS at once; MySQL clients name none.
const ALPN: &[u8] = b"postgresql";

/// The certificate that connections are shown.
#[derive(Debug)]
pub struct Tls {
    provider: Arc<CryptoProvider>,
    current: Arc<CertifiedKey>,
}

impl Tls {
    /// What the configuration says; None: no TLS. A wrong or missing file is a configuration error.
    pub fn open(config: &Config) -> Result<Option<Arc<Tls>>, ConfigError> {
        let (cert, key) = if config.tls.self_signed {
            let dir = config.data_dir.join("tls");
            let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
            if !cert.exists() || !key.exists() {
                self_sign(&dir, &cert, &key)
                    .map_err(|e| ConfigError(format!("cannot make a self-signed certificate in {}: {e}", dir.display())))?;
            }
            (cert, key)
        } else if config.has_tls() {
            (config.tls.cert.clone(), config.tls.key.clone())
        } else {
            return Ok(None);
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = read(&cert, &key, &provider)?;
        Ok(Some(Arc::new(Tls { provider, current })))
    }

    /// For the wires.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, ConfigError> {
        let builder = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| ConfigError(format!("TLS: {e}")))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Tls {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current))
    }
}

fn read(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, ConfigError> {
    let wrong = |path: &Path, cause: String| ConfigError(format!("cannot use {} for TLS: {cause}", path.display()));
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(|e| wrong(cert, e.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(cert, "it holds no certificate".into()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong(key, e.to_string()))?;
    let certified = CertifiedKey::from_der(chain, private, provider).map_err(|e| wrong(key, e.to_string()))?;
    Ok(Arc::new(certified))
}

fn self_sign(dir: &Path, cert: &Path, key: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let Ok(host) = fs::read_to_string("/etc/hostname") {
        names.extend(Some(host.trim().to_owned()).filter(|host| !host.is_empty()));
    }
    let pair = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    write_private(key, &pair.signing_key.serialize_pem())?;
    fs::write(cert, pair.cert.pem())
}

/// Readable by the owner only, from the first byte on.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &Path) -> Config {
        let mut config = Config { data_dir: dir.to_owned(), ..Config::default() };
        config.tls.self_signed = true;
        config
    }

    #[test]
    fn a_self_signed_pair_is_made_once_and_its_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let tls = Tls::open(&config(dir.path())).unwrap().unwrap();
        tls.server_config().unwrap();
        let before = fs::read(dir.path().join("tls/key.pem")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(dir.path().join("tls/key.pem")).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        Tls::open(&config(dir.path())).unwrap();
        assert_eq!(fs::read(dir.path().join("tls/key.pem")).unwrap(), before);
    }

    #[test]
    fn what_the_files_hold_now_is_shown_and_a_wrong_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let shown = || Tls::open(&config(dir.path())).unwrap().unwrap().current.cert[0].to_vec();
        let first = shown();
        assert_eq!(shown(), first);
        fs::write(dir.path().join("tls/cert.pem"), "nonsense").unwrap();
        assert!(Tls::open(&config(dir.path())).is_err());
        fs::remove_dir_all(dir.path().join("tls")).unwrap();
        assert_ne!(shown(), first);
    }

    #[test]
    fn without_tls_there_is_none_and_a_missing_file_is_named() {
        let mut config = Config::default();
        assert!(Tls::open(&config).unwrap().is_none());
        config.tls.cert = "/nowhere/cert.pem".into();
        config.tls.key = "/nowhere/key.pem".into();
        assert!(Tls::open(&config).unwrap_err().0.contains("/nowhere/cert.pem"));
    }
}
