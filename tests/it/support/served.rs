//! The program itself, as its clients have it: for what is true of a whole process.

use std::net::Ipv4Addr;

use awc::Client;
use mege_gateway::call::CallId;

use super::app::{LIMIT, Reply, client_at, read};
use super::program::Program;
use super::{eventually, metrics};

/// A program that listens.
pub(crate) struct Served {
    pub(crate) program: Program,
    pub(crate) origin: String,
    client: Client,
}

impl Served {
    /// Waits until it listens and can use the Asterisk named `main`.
    pub(crate) async fn start(mut program: Program) -> Served {
        let origin = program.origin().await;
        let client = client_at(Ipv4Addr::LOCALHOST);
        let served = Served {
            program,
            origin,
            client,
        };
        eventually("connected to Asterisk", LIMIT, async || {
            let status = served.get("/status").await.json();
            (status["actors"]["asterisk.main"]["usable"] == true).then_some(())
        })
        .await;
        served
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        read(self.client.get(format!("{}{path}", self.origin)).send()).await
    }

    pub(crate) async fn make_call(&self, extension: u64, number: u64) -> Reply {
        let body = format!(r#"{{"source_caller_id":{number},"caller_id":{extension}}}"#);
        let request = self.client.post(format!("{}/pbx-api/make-call", self.origin));
        read(request.content_type("application/json").send_body(body)).await
    }

    /// Hangs a call up by the route.
    pub(crate) async fn hang_up(&self, id: CallId) -> Reply {
        read(
            self.client
                .delete(format!("{}/v1/calls/{id}", self.origin))
                .send(),
        )
        .await
    }

    /// The sum of a metric's values that have all these labels; 0 where there is no such line.
    pub(crate) async fn count(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.get("/metrics").await.body;
        metrics::sum(&metrics, name, labels).unwrap_or_default()
    }

    /// How much memory it has at the moment, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.program.pid()));
        let status = status.expect("a process that lives");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes.expect("its memory") * 1024
    }
}
