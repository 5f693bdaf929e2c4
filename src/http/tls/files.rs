//! The two PEM files of a pair.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The most that is read of either; a chain of certificates has some ten kilobytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Why a pair cannot be used, by the settings' key. What the files hold is never part of it.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("{key} ({path}): cannot be read: {error}")]
    Read {
        /// The settings' key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A file has nothing of what it is for.
    #[error("{key} ({path}): {complaint}")]
    Content {
        /// The settings' key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        complaint: &'static str,
    },
    /// The key is of another certificate, or of a kind that TLS does not use here.
    #[error("http.tls_certificate and http.tls_key cannot be used together: {0}")]
    Unusable(rustls::Error),
}

/// Where a pair is read from.
#[derive(Debug, Clone)]
pub(super) struct PairFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// What tells one state of the two files from another. Through a symbolic link it is that of the file it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Print([Option<[i64; 4]>; 2]);

impl PairFiles {
    pub(super) fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key }
    }

    /// Reads the certificate chain and the key, and sees whether they belong together.
    pub(super) fn read(&self) -> Result<CertifiedKey, PairError> {
        const CERTIFICATE: &str = "http.tls_certificate";
        const KEY: &str = "http.tls_key";
        let content = |key, path: &Path, complaint| PairError::Content {
            key,
            path: path.to_owned(),
            complaint,
        };
        let chain = CertificateDer::pem_slice_iter(&read(CERTIFICATE, &self.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| content(CERTIFICATE, &self.certificate, "is not PEM"))?;
        if chain.is_empty() {
            return Err(content(CERTIFICATE, &self.certificate, "holds no certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(KEY, &self.key)?)
            .map_err(|_| content(KEY, &self.key, "holds no private key in PEM"))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(PairError::Unusable)
    }

    /// The files' state.
    pub(super) fn print(&self) -> Print {
        let of = |path: &Path| {
            let file = std::fs::metadata(path).ok()?;
            let identity = file.dev().wrapping_add(file.ino()).cast_signed();
            Some([
                identity,
                file.len().cast_signed(),
                file.mtime(),
                file.mtime_nsec(),
            ])
        };
        Print([of(&self.certificate), of(&self.key)])
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, PairError> {
    let failed = |error| PairError::Read {
        key,
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
