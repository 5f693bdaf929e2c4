//! Calls on the 3CX, and what they leave.

use tonic::Code;

use super::*;
use crate::pac::proto::call::call_pbx_service_client::CallPbxServiceClient;
use crate::pac::proto::call::{ConnectionCallStatus, HangupCallRequest, MakeCallRequest, TrasferCallRequest};
use crate::simulator::{HowOften, PacFault, PacOperation, RowTiming};

#[actix_rt::test]
async fn a_call_made_by_pac_is_live_and_leaves_its_legs_and_later_a_recording() {
    for row_timing in [RowTiming::LegEnd, RowTiming::CallEnd] {
        let simulator = start(SimulatorSettings {
            row_timing,
            ..brisk()
        })
        .await;
        let mut client = CallPbxServiceClient::new(channel(&simulator).await);
        let call = MakeCallRequest {
            from: "101".to_owned(),
            to: "79000000001".to_owned(),
        };
        let reply = client.make_call(call).await.unwrap().into_inner();
        assert_eq!(
            (reply.result, reply.message.as_str()),
            (true, "Call successfully initialized")
        );
        let count = client.get_count_calls(()).await.unwrap().into_inner();
        assert_eq!(count.current_count_calls, 1);
        let live = client.get_active_calls_info(()).await.unwrap().into_inner();
        assert_eq!(live.active_calls_info_data[0].remote_number, "79000000001");

        until(async || {
            client
                .get_count_calls(())
                .await
                .unwrap()
                .into_inner()
                .current_count_calls
                == 0
        })
        .await;
        let legs = collected(&simulator).await;
        assert_eq!(legs.len(), 2);
        assert_eq!(legs[0].source_dn_number.as_deref(), Some("MakeCall"));
        assert_eq!(legs[0].continued_in_cdr_id, Some(legs[1].cdr_id));
        assert!(legs[1].cdr_answered_at > Some(legs[0].cdr_started_at));
        let recorded = "SELECT cdr_id FROM recordings";
        until(async || rows(&simulator, recorded).await.len() == 2).await;
    }
}

#[actix_rt::test]
async fn a_call_through_the_trunk_leaves_cdrs_too() {
    let simulator = start(brisk()).await;
    let path = "channels?endpoint=PJSIP/101@3cx&extension=79000000007&callerId=101";
    assert_eq!(ask(&simulator, "POST", path).await.0, 200);
    until(async || collected(&simulator).await.len() == 2).await;
    let legs = collected(&simulator).await;
    assert_eq!(legs[0].destination_dn_number.as_deref(), Some("101"));
    assert!(legs[0].cdr_answered_at.is_some());
    assert_eq!(legs[1].termination_reason_details.as_deref(), Some("busy"));
    assert!(legs[1].cdr_id > legs[0].cdr_id && legs[1].cdr_ended_at <= legs[0].cdr_ended_at);
}

#[actix_rt::test]
async fn commands_say_what_pac_says() {
    let simulator = start(SimulatorSettings {
        pace: Pace {
            talk: PATIENCE,
            ..Pace::brisk()
        },
        ..brisk()
    })
    .await;
    let mut client = CallPbxServiceClient::new(channel(&simulator).await);
    let hang_up = |extension: &str| HangupCallRequest {
        extension: extension.to_owned(),
    };
    let unknown = client.hangup_call(hang_up("999")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Internal);
    assert!(unknown.message().contains("Extension number not found"));
    let transfer = TrasferCallRequest {
        call_id: 5,
        dn: "101".to_owned(),
        number_to: "102".to_owned(),
    };
    let reply = client.transfer_call(transfer).await.unwrap().into_inner();
    assert_eq!(
        (reply.result, reply.message.as_str()),
        (false, "No active calls for the number")
    );

    simulator.pbx().fail(
        PacOperation::MakeCall,
        PacFault::ErrorText("no".to_owned()),
        HowOften::Next(1),
    );
    let call = MakeCallRequest {
        from: "101".to_owned(),
        to: "102".to_owned(),
    };
    assert!(!client.make_call(call.clone()).await.unwrap().into_inner().result);
    assert!(client.make_call(call).await.unwrap().into_inner().result);
    // What rings stays, what talks is hung up.
    until(async || {
        assert!(
            client
                .hangup_call(hang_up("101"))
                .await
                .unwrap()
                .into_inner()
                .result
        );
        client
            .get_count_calls(())
            .await
            .unwrap()
            .into_inner()
            .current_count_calls
            == 0
    })
    .await;
}

#[actix_rt::test]
async fn rows_appear_at_their_legs_end_or_at_the_calls_and_recordings_later() {
    for row_timing in [RowTiming::LegEnd, RowTiming::CallEnd] {
        let simulator = start(SimulatorSettings {
            row_timing,
            pace: Pace {
                talk: PATIENCE,
                ..Pace::brisk()
            },
            recording_delay: PATIENCE,
            ..brisk()
        })
        .await;
        let mut client = CallPbxServiceClient::new(channel(&simulator).await);
        let call = MakeCallRequest {
            from: "101".to_owned(),
            to: "102".to_owned(),
        };
        client.make_call(call).await.unwrap();
        match row_timing {
            RowTiming::LegEnd => until(async || collected(&simulator).await.len() == 1).await,
            RowTiming::CallEnd => until(async || talks(&mut client).await).await,
        }
        let count = client.get_count_calls(()).await.unwrap().into_inner();
        assert_eq!(count.current_count_calls, 1, "the call goes on");
        let visible = collected(&simulator).await.len();
        assert_eq!(visible, usize::from(row_timing == RowTiming::LegEnd));

        let extension = "101".to_owned();
        client.hangup_call(HangupCallRequest { extension }).await.unwrap();
        until(async || collected(&simulator).await.len() == 2).await;
        assert!(rows(&simulator, "SELECT cdr_id FROM recordings").await.is_empty());
    }
}

/// Whether somebody talks.
async fn talks(client: &mut CallPbxServiceClient<Channel>) -> bool {
    let calls = client.get_active_connections_info(()).await.unwrap().into_inner();
    let connections = calls
        .active_connections_info
        .iter()
        .flat_map(|call| &call.connections_data);
    let statuses: Vec<_> = connections.map(|data| data.connection_call_status()).collect();
    statuses.contains(&ConnectionCallStatus::CallConnected)
}

#[actix_rt::test]
async fn calls_come_in_by_themselves_where_that_is_asked_for() {
    let simulator = start(SimulatorSettings {
        background_calls: Some(Duration::from_millis(20)),
        ..brisk()
    })
    .await;
    // The routing's leg ends within a tenth of a second.
    until(async || !collected(&simulator).await.is_empty()).await;
    let routing = collected(&simulator).await.remove(0);
    assert_eq!(
        routing.destination_entity_type.as_deref(),
        Some("inbound_routing")
    );
}
