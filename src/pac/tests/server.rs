//! A scripted PAC on a runtime of its own, so that it can vanish as a killed process does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

use crate::pac::proto::call::call_pbx_service_server::{CallPbxService, CallPbxServiceServer};
use crate::pac::proto::call::{
    BaseCallReply, GetActiveCallsInfoReply, GetActiveConnectionsInfoReply, GetCountCallsReply,
    HangupCallRequest, MakeCallRequest, TrasferCallRequest,
};
use crate::pac::proto::sql::sql_service_pbx_service_server::{
    SqlServicePbxService, SqlServicePbxServiceServer,
};
use crate::pac::proto::sql::{SqlRequest, SqlResponse};

/// What the server says to the next requests.
#[derive(Debug, Clone)]
pub(super) enum Say {
    Result(String),
    Error(&'static str),
    Taken(bool, &'static str),
    Status(Code, &'static str),
    /// A result, once the token is cancelled.
    Held(CancellationToken, String),
    /// UNAVAILABLE so many times, then this.
    UnavailableFirst(usize, Box<Say>),
    Nothing,
}

/// What it saw. The actor's own probes are not counted.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) connections: AtomicUsize,
    pub(super) requests: AtomicUsize,
    pub(super) probes: AtomicUsize,
    pub(super) cancelled: AtomicUsize,
    pub(super) working: AtomicUsize,
    pub(super) peak: AtomicUsize,
    pub(super) timeout: Mutex<Option<String>>,
    pub(super) authorization: Mutex<Option<String>>,
}

#[derive(Clone)]
struct Script {
    say: Arc<Mutex<Say>>,
    seen: Arc<Seen>,
}

/// A running server.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Seen>,
    say: Arc<Mutex<Say>>,
    runtime: Option<Runtime>,
}

impl Server {
    pub(super) fn start(say: Say) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), say)
    }

    pub(super) fn start_at(address: SocketAddr, say: Say) -> Self {
        let script = Script {
            say: Arc::new(Mutex::new(say)),
            seen: Arc::default(),
        };
        let std_listener = bind(address);
        std_listener.set_nonblocking(true).unwrap();
        let address = std_listener.local_addr().unwrap();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (seen, say) = (Arc::clone(&script.seen), Arc::clone(&script.say));
        runtime.spawn(async move {
            let seen = Arc::clone(&script.seen);
            let listener = TcpListener::from_std(std_listener).unwrap();
            let incoming = TcpListenerStream::new(listener).inspect(move |_| {
                seen.connections.fetch_add(1, Ordering::SeqCst);
            });
            tonic::transport::Server::builder()
                .add_service(SqlServicePbxServiceServer::new(script.clone()))
                .add_service(CallPbxServiceServer::new(script))
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        Self {
            address,
            seen,
            say,
            runtime: Some(runtime),
        }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn say(&self, say: Say) {
        *self.say.lock().unwrap() = say;
    }

    pub(super) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// Vanishes with all its connections.
    pub(super) fn kill(mut self) -> SocketAddr {
        self.shut_down();
        self.address
    }

    fn shut_down(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// A server that was killed may need a moment to let go of its port.
fn bind(address: SocketAddr) -> std::net::TcpListener {
    for _ in 0..1_000 {
        match std::net::TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    panic!("{address} stays in use");
}

/// A request at work; one that is dropped before its end was cancelled.
struct Working(Arc<Seen>, bool);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::SeqCst);
        if !self.1 {
            self.0.cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Script {
    fn next(&self) -> Say {
        let mut say = self.say.lock().unwrap();
        let next = match &mut *say {
            Say::UnavailableFirst(0, then) => (**then).clone(),
            Say::UnavailableFirst(left, _) => {
                *left -= 1;
                return Say::Status(Code::Unavailable, "starting");
            }
            present @ (Say::Result(_)
            | Say::Error(_)
            | Say::Taken(..)
            | Say::Status(..)
            | Say::Held(..)
            | Say::Nothing) => return present.clone(),
        };
        *say = next.clone();
        next
    }

    async fn answer<T>(&self, request: &Request<T>) -> Result<Say, Status> {
        let header = |name| {
            let value = request.metadata().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        *self.seen.timeout.lock().unwrap() = header("grpc-timeout");
        *self.seen.authorization.lock().unwrap() = header("authorization");
        self.seen.requests.fetch_add(1, Ordering::SeqCst);
        let now = self.seen.working.fetch_add(1, Ordering::SeqCst) + 1;
        self.seen.peak.fetch_max(now, Ordering::SeqCst);
        let mut working = Working(Arc::clone(&self.seen), false);
        let said = match self.next() {
            Say::Status(code, text) => Err(Status::new(code, text)),
            Say::Held(released, result) => {
                released.cancelled().await;
                Ok(Say::Result(result))
            }
            Say::Nothing => std::future::pending().await,
            say @ (Say::Result(_) | Say::Error(_) | Say::Taken(..) | Say::UnavailableFirst(..)) => Ok(say),
        };
        working.1 = true;
        said
    }
}

#[tonic::async_trait]
impl SqlServicePbxService for Script {
    async fn execute_sql(&self, request: Request<SqlRequest>) -> Result<Response<SqlResponse>, Status> {
        if request.get_ref().query == "SELECT 1" {
            self.seen.probes.fetch_add(1, Ordering::SeqCst);
            return Ok(Response::new(SqlResponse {
                result: r#"[["1"]]"#.to_owned(),
                error: String::new(),
            }));
        }
        let (result, error) = match self.answer(&request).await? {
            Say::Result(result) => (result, String::new()),
            Say::Error(error) => ("[]".to_owned(), error.to_owned()),
            said @ (Say::Taken(..)
            | Say::Status(..)
            | Say::Held(..)
            | Say::UnavailableFirst(..)
            | Say::Nothing) => {
                panic!("{said:?} is no answer to SQL")
            }
        };
        Ok(Response::new(SqlResponse { result, error }))
    }
}

#[tonic::async_trait]
impl CallPbxService for Script {
    async fn make_call(&self, request: Request<MakeCallRequest>) -> Result<Response<BaseCallReply>, Status> {
        let Say::Taken(result, message) = self.answer(&request).await? else {
            panic!("no answer to a call");
        };
        let call = request.get_ref();
        assert_eq!((call.from.as_str(), call.to.as_str()), ("101", "+79102223311"));
        let message = message.to_owned();
        Ok(Response::new(BaseCallReply { result, message }))
    }

    async fn get_active_calls_info(
        &self,
        _: Request<()>,
    ) -> Result<Response<GetActiveCallsInfoReply>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_count_calls(&self, _: Request<()>) -> Result<Response<GetCountCallsReply>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn hangup_call(&self, _: Request<HangupCallRequest>) -> Result<Response<BaseCallReply>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn transfer_call(&self, _: Request<TrasferCallRequest>) -> Result<Response<BaseCallReply>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_active_connections_info(
        &self,
        _: Request<()>,
    ) -> Result<Response<GetActiveConnectionsInfoReply>, Status> {
        Err(Status::unimplemented(""))
    }
}
