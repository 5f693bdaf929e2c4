//! A client of a running gateway, for the commands that ask one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use awc::http::Method;
use awc::{Client, ClientRequest, Connector};
use clap::Args;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret as _, SecretString};

use super::{CommandError, settings};
use crate::ledger::key::SecretDigest;
use crate::settings::{HttpSettings, HttpUrl, Scheme};

/// The variable that holds a key. An argument would be seen by everybody on the machine.
const KEY_VARIABLE: &str = "MEGE_KEY";

/// How long a request may take: longer than the gateway's own limit is by default (`http.timeout_ms`), so that its own
/// words arrive.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// Which gateway is meant, and as whom it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct GatewayArguments {
    /// Where the gateway is, with its prefix if it has one, such as `https://mege.example:3000`; where the settings have it
    /// listen when not given.
    #[arg(long, global = true, value_name = "URL", value_parser = |text: &str| HttpUrl::try_from(text.to_owned()))]
    url: Option<HttpUrl>,
    /// A file that holds the key. When not given, the variable MEGE_KEY holds it; without either none is sent.
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// Why a gateway cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum GatewayClientError {
    /// The settings do not say where it listens.
    #[error("http.port is 0, any free port: name the gateway with --url")]
    AnyPort,
    /// The file with the key cannot be read.
    #[error("{path}: cannot be read: {error}", path = path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// What should be a key is none.
    #[error("{0} holds no key: one begins with mege_ and has 48 characters")]
    NotAKey(String),
    /// TLS cannot be spoken.
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// No answer, and none could come.
    #[error("{url} cannot be reached: {error}")]
    Unreachable {
        /// The gateway.
        url: String,
        /// Why not.
        error: String,
    },
}

/// A client of one running gateway. It belongs to the thread it was made on.
pub(super) struct GatewayClient {
    client: Client,
    url: String,
}

impl GatewayClient {
    /// A client with so many connections at most. `file` is that of the settings, which are read only where the
    /// arguments do not say where the gateway is.
    ///
    /// # Errors
    /// When the settings or the key cannot be used.
    pub(super) fn new(
        arguments: &GatewayArguments,
        file: Option<PathBuf>,
        connections: usize,
    ) -> Result<Self, CommandError> {
        let url = match &arguments.url {
            Some(url) => url.to_string(),
            None => listens(&settings(file)?.http)?,
        };
        let key = key(arguments.key_file.as_deref())?;
        let mut connector = Connector::new().limit(connections);
        if url
            .get(..6)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
        {
            connector = connector.rustls_0_23(tls()?);
        }
        let client = Client::builder()
            .connector(connector)
            .timeout(ANSWER_TIMEOUT)
            .disable_redirects();
        let client = match key {
            Some(key) => client.bearer_auth(key.expose_secret()),
            None => client,
        };
        Ok(Self {
            client: client.finish(),
            url,
        })
    }

    /// A request to a path of the API, which begins with `/` and comes after the gateway's prefix.
    pub(super) fn request(&self, method: Method, path: &str) -> ClientRequest {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Where the gateway is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The error of a request that could not be answered.
    pub(super) fn unreachable(&self, error: impl ToString) -> GatewayClientError {
        GatewayClientError::Unreachable {
            url: self.url.clone(),
            error: error.to_string(),
        }
    }
}

/// Where a gateway with these settings is asked: with TLS by the name that clients use, which its certificate has.
fn listens(http: &HttpSettings) -> Result<String, GatewayClientError> {
    if let (Scheme::Https, Some(_)) = (http.scheme, &http.public_url) {
        return Ok(http.link_root());
    }
    if http.port == 0 {
        return Err(GatewayClientError::AnyPort);
    }
    // What listens on every address is asked on loopback.
    let address = match http.address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address @ (IpAddr::V4(_) | IpAddr::V6(_)) => address,
    };
    let address = SocketAddr::new(address, http.port);
    Ok(format!("{}://{address}{}", http.scheme, http.base_path()))
}

/// The key of a file, or else of the variable.
fn key(file: Option<&Path>) -> Result<Option<SecretString>, GatewayClientError> {
    let (text, origin) = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| GatewayClientError::KeyFile {
                path: path.to_owned(),
                error,
            })?;
            (text, path.display().to_string())
        }
        None => match std::env::var_os(KEY_VARIABLE) {
            Some(text) => (text.to_string_lossy().into_owned(), KEY_VARIABLE.to_owned()),
            None => return Ok(None),
        },
    };
    let text = text.trim();
    match SecretDigest::of(text.as_bytes()) {
        Some(_) => Ok(Some(text.into())),
        None => Err(GatewayClientError::NotAKey(origin)),
    }
}

/// Trusts whom the operating system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. HTTP/1.1 only: with HTTP/2
/// all requests would share one connection.
fn tls() -> Result<Arc<ClientConfig>, GatewayClientError> {
    let mut roots = RootCertStore::empty();
    // With none that can be used, the handshake says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Settings, Sources};

    fn settings_of(variables: &[(&str, &str)]) -> HttpSettings {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources {
            directory: folder.path().to_owned(),
            file: None,
            environment: variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        };
        Settings::load(&sources).unwrap().http
    }

    #[test]
    fn the_gateway_is_where_its_settings_have_it_listen() {
        for (variables, url) in [
            (&[][..], "http://127.0.0.1:3000"),
            (
                &[
                    ("MEGE__HTTP__ADDRESS", "0.0.0.0"),
                    ("APP_PORT", "8080"),
                    ("API_PREFIX", "/api/"),
                ],
                "http://127.0.0.1:8080/api",
            ),
            (&[("MEGE__HTTP__ADDRESS", "::")], "http://[::1]:3000"),
            (
                &[("MEGE__HTTP__PUBLIC_URL", "https://mege.example")],
                "http://127.0.0.1:3000",
            ),
            (
                &[
                    ("MEGE__HTTP__PUBLIC_URL", "https://mege.example"),
                    ("HTTP_OPTIONS", "https"),
                    ("MEGE__HTTP__TLS_CERTIFICATE", "tls.crt"),
                    ("MEGE__HTTP__TLS_KEY", "tls.key"),
                    ("API_PREFIX", "api"),
                ],
                "https://mege.example/api",
            ),
        ] {
            assert_eq!(listens(&settings_of(variables)).unwrap(), url);
        }
        let any = listens(&settings_of(&[("APP_PORT", "0")]));
        assert!(matches!(any, Err(GatewayClientError::AnyPort)));
    }

    #[test]
    fn a_key_in_a_file_may_end_with_its_line_and_anything_else_is_refused_without_repeating_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let good = format!("mege_{}", "A".repeat(43));
        std::fs::write(&file, format!("{good}\n")).unwrap();
        assert_eq!(key(Some(&file)).unwrap().unwrap().expose_secret(), good);
        std::fs::write(&file, "mege_hidden\r\nX-Other: 1").unwrap();
        let refused = key(Some(&file)).unwrap_err();
        assert!(!refused.to_string().contains("hidden"), "{refused}");
        let absent = key(Some(&folder.path().join("none"))).unwrap_err();
        assert_eq!(CommandError::from(absent).exit_code(), 2);
    }
}
