//! Requests to PAC over the actor's one connection.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use super::error::{PacError, sanitize};
use super::failure::Failure;
use super::messages::{ExecuteSql, MakeCall};
use super::proto::call::MakeCallRequest;
use super::proto::call::call_pbx_service_client::CallPbxServiceClient;
use super::proto::sql::sql_service_pbx_service_client::SqlServicePbxServiceClient;
use super::proto::sql::{SqlRequest, SqlResponse};
use super::reachability::Reachability;
use super::retry::Retries;
use super::rows;
use super::statement::Statement;
use super::token::Token;
use crate::actor::{AskError, Health, Reply, Request as _};
use crate::metric;
use crate::settings::PacSettings;

/// How long before its caller gives up a command ends by itself, to say in time that its outcome is unknown.
const COMMAND_MARGIN: Duration = Duration::from_millis(20);

/// How long a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// One PAC. Its clones share everything.
#[derive(Clone)]
pub(super) struct Client(Rc<Inner>);

struct Inner {
    name: String,
    channel: Channel,
    token: Option<Token>,
    timeout: Duration,
    max_reply_bytes: usize,
    reachability: Reachability,
    retries: Retries,
}

impl Client {
    /// Prepares the connection, which is made with the first request and again whenever it was lost.
    pub(super) fn new(name: &str, settings: &PacSettings, endpoint: &Endpoint, health: &Health) -> Self {
        Self(Rc::new(Inner {
            name: name.to_owned(),
            channel: endpoint.connect_lazy(),
            token: settings.jwt.clone().map(Token::new),
            timeout: settings.request_timeout(),
            max_reply_bytes: settings.max_reply_bytes,
            reachability: Reachability::new(health.clone()),
            retries: Retries::new(name),
        }))
    }

    /// What its requests have shown of PAC.
    pub(super) fn reachability(&self) -> &Reachability {
        &self.0.reachability
    }

    /// Runs a statement, at most until `deadline` or the request timeout; where PAC did not answer, perhaps again.
    pub(super) async fn execute_sql(&self, statement: &Statement, deadline: Instant) -> Reply<ExecuteSql> {
        let until = deadline.min(Instant::now() + self.0.timeout);
        let read = async || self.sql(statement.text().to_owned(), until).await;
        let reply = match self.0.retries.run(until, read).await {
            Ok(reply) => rows::parse(&reply).map_err(AskError::Reply),
            Err(failure) => Err(failure.into_read_error()),
        };
        if let Err(error) = &reply {
            tracing::debug!(pac = self.0.name, statement = statement.name(), %error, "statement failed");
        }
        self.count(ExecuteSql::OPERATION, &reply);
        reply
    }

    /// Gives the command once, and never again, at most until a little before `deadline` or the request timeout.
    pub(super) async fn make_call(&self, call: MakeCall, deadline: Instant) -> Reply<MakeCall> {
        let now = Instant::now();
        let own_end = deadline.checked_sub(COMMAND_MARGIN).unwrap_or(now);
        let until = own_end.min(now + self.0.timeout);
        if until <= now {
            return Err(AskError::DeadlineExceeded { begun: false });
        }
        let request = MakeCallRequest {
            to: call.to.as_str().to_owned(),
            from: call.from.as_str().to_owned(),
        };
        let mut service = CallPbxServiceClient::new(self.0.channel.clone())
            .max_decoding_message_size(self.0.max_reply_bytes);
        let sent = self.send(request, until, async |request| service.make_call(request).await);
        let reply = match sent.await {
            Ok(reply) if reply.result => Ok(()),
            Ok(reply) => Err(PacError::Rejected(sanitize(&reply.message))),
            Err(failure) => Err(failure.into_command_error()),
        };
        let reply = reply.map_err(AskError::Reply);
        self.count(MakeCall::OPERATION, &reply);
        reply
    }

    /// Sees whether PAC answers, be it with an error. The outcome shows in the actor's health.
    pub(super) async fn probe(&self) -> bool {
        let until = Instant::now() + PROBE_TIMEOUT.min(self.0.timeout);
        let reply = self.sql("SELECT 1".to_owned(), until).await;
        if let Err(failure @ Failure::Late) = &reply {
            self.record(failure);
        }
        reply.is_ok()
    }

    async fn sql(&self, query: String, until: Instant) -> Result<SqlResponse, Failure> {
        let mut service = SqlServicePbxServiceClient::new(self.0.channel.clone())
            .max_decoding_message_size(self.0.max_reply_bytes);
        let request = SqlRequest { query };
        self.send(request, until, async |request| service.execute_sql(request).await)
            .await
    }

    async fn send<Q, R>(
        &self,
        message: Q,
        until: Instant,
        rpc: impl AsyncFnOnce(Request<Q>) -> Result<Response<R>, Status>,
    ) -> Result<R, Failure> {
        let mut request = Request::new(message);
        request.set_timeout(until.saturating_duration_since(Instant::now()));
        if let Some(token) = &self.0.token {
            let bearer = token
                .bearer(Timestamp::now())
                .map_err(|error| Failure::Unsent(error.to_string()))?;
            request.metadata_mut().insert("authorization", bearer);
        }
        let failure = match timeout_at(until, rpc(request)).await {
            Ok(Ok(reply)) => {
                self.0.reachability.answered();
                return Ok(reply.into_inner());
            }
            Ok(Err(status)) => self.with_hint(Failure::of(&status, self.0.max_reply_bytes)),
            // Dropped, the request is cancelled at PAC too.
            Err(_) => Failure::Late,
        };
        // One slow reply does not mean that PAC is away; the probe says.
        if failure != Failure::Late {
            self.record(&failure);
        }
        Err(failure)
    }

    /// A PAC that refuses a token answers with an HTTP status that does not exist, which looks like a broken peer.
    fn with_hint(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Lost(text) if self.0.token.is_some() => {
                Failure::Lost(format!("{text}; PAC also does this when it refuses the token"))
            }
            Failure::Lost(_)
            | Failure::Unsent(_)
            | Failure::Late
            | Failure::TooLarge(_)
            | Failure::Status(..) => failure,
        }
    }

    fn record(&self, failure: &Failure) {
        match failure.kind() {
            Some(reason) => self.0.reachability.failed(reason),
            None => self.0.reachability.answered(),
        }
    }

    fn count<T>(&self, operation: &'static str, reply: &Result<T, AskError<PacError>>) {
        let outcome = match reply {
            Ok(_) => "ok",
            Err(AskError::Reply(error)) => match error {
                PacError::Unavailable(_) => "unavailable",
                PacError::OutcomeUnknown(_) | PacError::NoAnswer => "unknown",
                PacError::Rejected(_) => "rejected",
                PacError::Status { .. } => "status",
                PacError::TooLarge { .. } => "too_large",
                PacError::Decode(_) => "decode",
            },
            Err(_) => "deadline",
        };
        metric::pac_requests(self.0.name.clone(), operation, outcome).increment(1);
    }
}
