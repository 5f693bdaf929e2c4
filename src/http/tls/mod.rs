//! TLS: the certificate and its key from two files, read again when they change.

mod files;
mod reload;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

pub use files::PairError;

use self::files::PairFiles;
use crate::settings::{HttpSettings, Scheme};

/// What a TLS server needs: a pair that is exchanged while it serves. Clones share it.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    pair: Arc<CurrentPair>,
    files: PairFiles,
}

impl Tls {
    /// Reads the pair; none when no TLS is wanted.
    ///
    /// # Errors
    /// When the pair cannot be used. The error names the key of the settings, and nothing of what the files hold.
    pub fn load(settings: &HttpSettings) -> Result<Option<Self>, PairError> {
        let (Scheme::Https, Some(certificate), Some(key)) =
            (settings.scheme, &settings.tls_certificate, &settings.tls_key)
        else {
            return Ok(None);
        };
        let files = PairFiles::new(certificate.clone(), key.clone());
        let pair = Arc::new(CurrentPair(RwLock::new(Arc::new(files.read()?))));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(PairError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&pair) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self {
            config: Arc::new(config),
            pair,
            files,
        }))
    }

    /// What makes a connection one of TLS.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config).into()
    }
}

/// The pair that handshakes take from here on; those that are through keep theirs.
struct CurrentPair(RwLock<Arc<CertifiedKey>>);

impl CurrentPair {
    fn replace(&self, pair: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
    }
}

impl ResolvesServerCert for CurrentPair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pair = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&pair))
    }
}

impl fmt::Debug for CurrentPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentPair").finish_non_exhaustive()
    }
}
