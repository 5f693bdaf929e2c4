//! Certificates of a test, and clients that trust them.

use std::io::Result;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate of `localhost`, signed by itself, and its key.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
    der: CertificateDer<'static>,
}

impl Pair {
    pub(crate) fn new() -> Pair {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        Pair {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            der: made.cert.der().clone(),
        }
    }

    /// Writes both files into `folder`, and gives the variables of a gateway that serves them.
    pub(crate) fn write(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        std::fs::write(&certificate, &self.certificate).expect("a certificate written");
        std::fs::write(&key, &self.key).expect("a key written");
        vec![
            ("HTTP_OPTIONS", "https".to_owned()),
            ("MEGE__HTTP__TLS_CERTIFICATE", certificate.display().to_string()),
            ("MEGE__HTTP__TLS_KEY", key.display().to_string()),
        ]
    }

    /// A client that trusts this certificate and no other.
    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    /// A connection through a handshake, in the latest version.
    pub(crate) async fn connect(&self, address: &str, protocols: &[&str]) -> Result<TlsStream<TcpStream>> {
        connect_with(&self.client(ALL_VERSIONS, protocols), address).await
    }

    /// Whether a new connection meets this certificate.
    pub(crate) async fn is_served(&self, address: &str) -> bool {
        self.connect(address, &[]).await.is_ok()
    }
}

/// A connection of this client's, through a handshake.
pub(crate) async fn connect_with(client: &TlsConnector, address: &str) -> Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    client.connect(name, socket).await
}

/// Asks on a connection of HTTP/1.1 and reads the head of the answer, leaving the connection open.
pub(crate) async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request sent");
    stream.flush().await.expect("a request flushed");
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer[..read]).into_owned()
}
