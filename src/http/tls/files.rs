//! The certificate chain and the private key, in two PEM files.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The most that is read of either, in bytes; a certificate chain has some ten kilobytes.
const MAX_FILE_SIZE: u64 = 1024 * 1024;

/// Why a certificate or its key cannot be used, by the settings' key. The files' contents are never part of it.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
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
    /// A file does not hold what it must.
    #[error("{key} ({path}): {problem}")]
    Content {
        /// The settings' key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The key belongs to another certificate, or is of a kind that is not supported.
    #[error("http.tls_certificate and http.tls_key cannot be used together: {0}")]
    Unusable(rustls::Error),
}

/// The paths of the two files.
#[derive(Debug, Clone)]
pub(super) struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// The version of the two files: identity, size and modification time of each. Symbolic links are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileVersions([Option<[i64; 4]>; 2]);

impl CertificateFiles {
    pub(super) fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key }
    }

    /// Reads the certificate chain and the key, and checks that they belong together.
    pub(super) fn read(&self) -> Result<CertifiedKey, CertificateError> {
        const CERTIFICATE: &str = "http.tls_certificate";
        const KEY: &str = "http.tls_key";
        let content = |key, path: &Path, problem| CertificateError::Content {
            key,
            path: path.to_owned(),
            problem,
        };
        let chain = CertificateDer::pem_slice_iter(&read(CERTIFICATE, &self.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| content(CERTIFICATE, &self.certificate, "is not PEM"))?;
        if chain.is_empty() {
            return Err(content(CERTIFICATE, &self.certificate, "holds no certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(KEY, &self.key)?)
            .map_err(|_| content(KEY, &self.key, "holds no private key in PEM"))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(CertificateError::Unusable)
    }

    /// The files' version now.
    pub(super) fn versions(&self) -> FileVersions {
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
        FileVersions([of(&self.certificate), of(&self.key)])
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |error| CertificateError::Read {
        key,
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_SIZE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
