//! TLS: the certificate and its key from two files, reloaded when they change.

mod files;
mod reload;

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

pub use files::CertificateError;

use self::files::CertificateFiles;
use crate::settings::{HttpSettings, Scheme};

/// The configuration of a TLS server, whose certificate is reloaded while it serves. Clones share it.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    resolver: Arc<CertificateResolver>,
    files: CertificateFiles,
}

impl Tls {
    /// Reads the certificate and its key; none without TLS.
    ///
    /// # Errors
    /// When they cannot be used. The error names the key of the settings, and nothing of the files' contents.
    pub fn load(settings: &HttpSettings) -> Result<Option<Self>, CertificateError> {
        let (Scheme::Https, Some(certificate), Some(key)) =
            (settings.scheme, &settings.tls_certificate, &settings.tls_key)
        else {
            return Ok(None);
        };
        let files = CertificateFiles::new(certificate.clone(), key.clone());
        let resolver = Arc::new(CertificateResolver(RwLock::new(Arc::new(files.read()?))));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&resolver) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self {
            config: Arc::new(config),
            resolver,
            files,
        }))
    }

    /// Accepts TLS connections.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config).into()
    }
}

/// Gives handshakes the current certificate; connections that are established keep theirs.
#[derive(derive_more::Debug)]
#[debug("CertificateResolver")]
struct CertificateResolver(RwLock<Arc<CertifiedKey>>);

impl CertificateResolver {
    fn replace(&self, certificate: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificate = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&certificate))
    }
}
