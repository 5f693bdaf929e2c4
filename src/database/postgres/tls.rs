//! How connections to PostgreSQL are encrypted, and whom they trust.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::database::StoreError;
use crate::settings::{Ssl, SslMode};

/// What connects by these settings.
///
/// # Errors
/// [`StoreError::Unavailable`] where the file of those who are trusted cannot be used.
pub(super) fn connector(ssl: &Ssl) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let config = match ssl.mode {
        SslMode::VerifyFull => {
            let mut roots = RootCertStore::empty();
            match &ssl.root_certificates {
                Some(file) => add(&mut roots, file)?,
                // With none that can be used, the handshake says so.
                None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        SslMode::Disable | SslMode::Prefer | SslMode::Require => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), StoreError> {
    let unusable = |why: &dyn std::fmt::Display| {
        StoreError::Unavailable(format!("sslrootcert {}: {why}", file.display()))
    };
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"it holds no certificate"));
    }
    Ok(())
}

/// Takes whoever answers for the server, as PostgreSQL's own clients do below `verify-full`: that keeps listeners out, and
/// nobody who sits between.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(feature = "peers")]
#[cfg(test)]
mod tests {
    use std::env::var;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::Postgres;
    use super::*;

    /// What comes of a connection to the server of the tests by this host and with this query: whether it is encrypted.
    async fn encrypted(host: &str, query: &str) -> Result<bool, StoreError> {
        let server = var("MEGE_TEST_POSTGRES_URL").expect("run tests/run.sh");
        of(&format!("{}?{query}", server.replace("127.0.0.1", host))).await
    }

    async fn of(url: &str) -> Result<bool, StoreError> {
        let database = Postgres::new(url, 1, Duration::from_secs(20))?;
        let own = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        Ok(database.get().await?.query_one(own, &[]).await?.try_get(0)?)
    }

    fn full(authority: &str) -> String {
        format!("sslmode=verify-full&sslrootcert={authority}")
    }

    fn refused(tried: Result<bool, StoreError>, why: &str) {
        let Err(StoreError::Unavailable(words)) = &tried else {
            panic!("{why}: {tried:?}");
        };
        assert!(words.contains(why), "{words}");
    }

    #[tokio::test]
    async fn it_is_encrypted_as_the_url_says() {
        let authority = var("MEGE_TEST_POSTGRES_CA").expect("run tests/run.sh");
        assert_eq!(encrypted("127.0.0.1", "sslmode=disable").await, Ok(false));
        for query in ["", "sslmode=prefer", "sslmode=require"] {
            assert_eq!(encrypted("127.0.0.1", query).await, Ok(true), "{query}");
        }
        assert_eq!(encrypted("localhost", &full(&authority)).await, Ok(true));
        refused(
            encrypted("127.0.0.1", &full(&authority)).await,
            "not valid for name",
        );
    }

    #[tokio::test]
    async fn whoever_is_not_trusted_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other.crt");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&other, made.cert.pem()).unwrap();
        refused(
            encrypted("localhost", &full(other.to_str().unwrap())).await,
            "UnknownIssuer",
        );
        refused(
            encrypted("localhost", "sslmode=verify-full").await,
            "UnknownIssuer",
        );
        std::fs::write(&other, "nothing").unwrap();
        refused(
            encrypted("localhost", &full(other.to_str().unwrap())).await,
            "no certificate",
        );
        refused(
            encrypted("localhost", &full("/nowhere")).await,
            "sslrootcert /nowhere",
        );
    }

    #[actix_rt::test]
    async fn a_server_without_tls_gets_no_password_where_encryption_is_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let no = actix_rt::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            // `SSLRequest` has 8 bytes; `N` says no (protocol-flow.html).
            socket.read_exact(&mut [0; 8]).await.unwrap();
            socket.write_all(b"N").await.unwrap();
            socket.read(&mut [0; 100]).await.unwrap_or_default()
        });
        let url = format!("postgres://mege:s3cret@127.0.0.1:{port}/mege?sslmode=require");
        refused(of(&url).await, "TLS");
        assert_eq!(no.await.unwrap(), 0, "nothing more was sent");
    }
}
