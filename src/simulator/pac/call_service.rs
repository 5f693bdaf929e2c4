//! PAC's `CallPbxService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::core::Core;
use super::faults::{PacFault, PacOperation};
use super::live::LiveCall;
use super::make_call;
use super::server::connection_of;
use crate::pac::proto::call::call_pbx_service_server::CallPbxService;
use crate::pac::proto::call::{
    ActiveCallsStatus, ActiveConnectionsInfo, BaseCallReply, CallDirection, ConnectionCallStatus,
    ConnectionsData, GetActiveCallsInfoData, GetActiveCallsInfoReply, GetActiveConnectionsInfoReply,
    GetCountCallsReply, HangupCallRequest, MakeCallRequest, TrasferCallRequest,
};

#[derive(Debug)]
pub(super) struct CallService(pub(super) Arc<Core>);

type Reply<T> = Result<Response<T>, Status>;

impl CallService {
    /// Answers a read.
    async fn read<T>(&self, request: &Request<()>, reply: impl FnOnce(Vec<LiveCall>) -> T) -> Reply<T> {
        let connection = connection_of(request);
        let work = async { Ok(reply(self.0.live.list())) };
        self.0
            .serve(PacOperation::Other, connection, |_| None, work)
            .await
    }

    /// Answers a command.
    async fn command<T>(
        &self,
        operation: PacOperation,
        request: Request<T>,
        carry_out: impl FnOnce(T) -> Result<BaseCallReply, Status>,
    ) -> Reply<BaseCallReply> {
        let connection = connection_of(&request);
        let work = async { carry_out(request.into_inner()) };
        self.0.serve(operation, connection, refusal, work).await
    }
}

#[tonic::async_trait]
impl CallPbxService for CallService {
    async fn get_active_calls_info(&self, request: Request<()>) -> Reply<GetActiveCallsInfoReply> {
        self.read(&request, |calls| GetActiveCallsInfoReply {
            active_calls_info_data: calls.iter().map(active_call).collect(),
        })
        .await
    }

    async fn get_count_calls(&self, request: Request<()>) -> Reply<GetCountCallsReply> {
        self.read(&request, |calls| GetCountCallsReply {
            current_count_calls: calls.len().try_into().unwrap_or(i32::MAX),
        })
        .await
    }

    async fn get_active_connections_info(
        &self,
        request: Request<()>,
    ) -> Reply<GetActiveConnectionsInfoReply> {
        self.read(&request, |calls| GetActiveConnectionsInfoReply {
            active_connections_info: calls.iter().map(connections).collect(),
        })
        .await
    }

    async fn make_call(&self, request: Request<MakeCallRequest>) -> Reply<BaseCallReply> {
        self.command(PacOperation::MakeCall, request, |call| {
            make_call::begin(&self.0, call.from, call.to);
            Ok(done("Call successfully initialized"))
        })
        .await
    }

    async fn hangup_call(&self, request: Request<HangupCallRequest>) -> Reply<BaseCallReply> {
        self.command(PacOperation::Other, request, |HangupCallRequest { extension }| {
            let number = extension.parse::<u32>();
            if !number.is_ok_and(|number| self.0.settings.extensions.contains(&number)) {
                return Err(Status::internal(
                    "Status(StatusCode=\"NotFound\", Detail=\"Extension number not found\")",
                ));
            }
            self.0.live.hang_up(&extension);
            Ok(done("Call successfully completed"))
        })
        .await
    }

    async fn transfer_call(&self, request: Request<TrasferCallRequest>) -> Reply<BaseCallReply> {
        self.command(PacOperation::Other, request, |transfer| {
            if self.0.live.transfer(transfer.call_id, &transfer.number_to) {
                Ok(done("Call successfully transferred"))
            } else {
                Ok(BaseCallReply {
                    result: false,
                    message: "No active calls for the number".to_owned(),
                })
            }
        })
        .await
    }
}

fn done(message: &str) -> BaseCallReply {
    BaseCallReply {
        result: true,
        message: message.to_owned(),
    }
}

fn refusal(fault: PacFault) -> Option<BaseCallReply> {
    match fault {
        PacFault::ErrorText(message) => Some(BaseCallReply {
            result: false,
            message,
        }),
        PacFault::Hang
        | PacFault::Delay(_)
        | PacFault::Unavailable
        | PacFault::Result(_)
        | PacFault::Oversized(_)
        | PacFault::Message(_)
        | PacFault::Body(_)
        | PacFault::DropConnection => None,
    }
}

fn active_call(call: &LiveCall) -> GetActiveCallsInfoData {
    GetActiveCallsInfoData {
        call_id: id(call),
        call_direction: call.direction.into(),
        status: call.status.into(),
        local_number: call.extension.clone(),
        remote_number: call.number.clone(),
        direction: Some(String::new()),
        call_status: Some(String::new()),
    }
}

/// The extension's side; the far side is the trunk's own business.
fn connections(call: &LiveCall) -> ActiveConnectionsInfo {
    let status = match call.status {
        ActiveCallsStatus::Talking => ConnectionCallStatus::CallConnected,
        ActiveCallsStatus::Dialing
        | ActiveCallsStatus::Ringing
        | ActiveCallsStatus::Other
        | ActiveCallsStatus::Finish => ConnectionCallStatus::CallRinging,
    };
    ActiveConnectionsInfo {
        call_id: id(call),
        connections_data: vec![ConnectionsData {
            id: id(call),
            call_connection_id: 1,
            external_party: call.number.clone(),
            recording_state: "NotRecording".to_owned(),
            party_connection_id: 1,
            referred_by: 0,
            is_outbound: call.direction == CallDirection::Outbound,
            is_inbound: call.direction == CallDirection::Inbound,
            dialed_number: call.number.clone(),
            internal_party: "TCX.Configuration.Extension".to_owned(),
            internal_party_number: call.extension.clone(),
            connection_call_status: status.into(),
            destination_number: call.extension.clone(),
        }],
    }
}

fn id(call: &LiveCall) -> i32 {
    call.id.try_into().unwrap_or(i32::MAX)
}
