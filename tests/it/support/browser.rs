//! A real browser: headless Chromium, driven as a person would.

use std::process::Child;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::app::LIMIT;
use super::{eventually, process};

/// A running browser with a profile of its own. Dropping it kills it and all that it started.
pub(crate) struct Browser {
    /// One window.
    pub(crate) client: Client,
    /// `unshare`: in a PID namespace of its own the browser's processes all end with it.
    driver: Child,
    _folder: TempDir,
}

impl Browser {
    /// Starts one. It needs to be root, for the namespace. Call it on the thread of the test: the browser dies with
    /// the thread that started it.
    pub(crate) async fn start() -> Browser {
        let folder = tempfile::tempdir().expect("a folder");
        let port = process::free_tcp_port();
        let wrapped = ["--pid", "--fork", "--kill-child", "--mount-proc", "chromedriver"];
        let port_option = format!("--port={port}");
        let arguments = wrapped.into_iter().chain([port_option.as_str()]);
        let log = folder.path().join("chromedriver.log");
        let mut driver = process::spawn("unshare", arguments, &log);
        let profile = folder.path().join("profile");
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--autoplay-policy=no-user-gesture-required",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let capabilities = json!({ "goog:chromeOptions": { "args": flags } });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is an object");
        };
        let url = format!("http://127.0.0.1:{port}");
        let client = eventually("a browser", LIMIT, async || {
            if let Some(status) = driver.try_wait().expect("its state") {
                panic!(
                    "chromedriver ended with {status}: {}",
                    std::fs::read_to_string(&log).unwrap_or_default()
                );
            }
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder
                .capabilities(capabilities.clone())
                .connect(&url)
                .await
                .ok()
        })
        .await;
        Browser {
            client,
            driver,
            _folder: folder,
        }
    }

    /// Shows a page of its own, from another server than any gateway's. Such a page may load from loopback, which
    /// Chromium refuses to one without an origin.
    pub(crate) async fn show(&self, html: &str) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{html}",
            html.len()
        );
        let serve = async {
            while let Ok((mut socket, _)) = listener.accept().await {
                // The browser asks for an icon too, or closes early: none of it matters.
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        };
        let url = format!("http://{address}/");
        tokio::select! {
            () = serve => unreachable!("it listens until the page is there"),
            shown = self.client.goto(&url) => shown.expect("a page"),
        }
    }

    /// Runs a script in the page and says what it returned.
    pub(crate) async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client
            .execute(script, arguments)
            .await
            .expect("a script that runs")
    }

    /// Waits until a script in the page returns something true.
    pub(crate) async fn until(&self, script: &str) {
        eventually(script, LIMIT, async || {
            (self.run(script, Vec::new()).await == true).then_some(())
        })
        .await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended on its own: then there is nothing to do.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
