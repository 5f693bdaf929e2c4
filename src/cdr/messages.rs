//! What a `CdrActor` can be asked.

use tokio::sync::mpsc;
use uuid::Uuid;

use super::store::{Batch, CdrRange, Changes, LegacyRow, Position, RecordingFile};
use crate::actor::{ClientId, requests};
use crate::database::StoreError;

requests! {
    Apply: Write "apply" -> Changes, StoreError;
    GetPosition: Read "get_position" -> Position, StoreError;
    RemovePosition: Write "remove_position" -> (), StoreError;
    ListDigests: Read "list_digests" -> Vec<(String, String)>, StoreError;
    GetLastCallId: Read "get_last_call_id" -> Option<Uuid>, StoreError;
    SearchAfterCallId: Read "search_after_call_id" -> CdrPages, StoreError;
    GetRecording: Read "get_recording" -> Option<RecordingFile>, StoreError;
}

/// Request: store a batch in one transaction.
#[derive(Debug, Clone)]
pub struct Apply {
    /// The 3CX it comes from.
    pub pbx: String,
    /// What to store.
    pub batch: Batch,
}

/// Request: how far has the collector of this 3CX come?
#[derive(Debug, Clone)]
pub struct GetPosition {
    /// The 3CX.
    pub pbx: String,
}

/// Request: forget a position that was kept under this name.
#[derive(Debug, Clone)]
pub struct RemovePosition {
    /// The name.
    pub name: String,
}

/// Request: which rows are stored, and with which digests?
#[derive(Debug, Clone)]
pub struct ListDigests {
    /// The 3CX.
    pub pbx: String,
    /// Which rows.
    pub range: CdrRange,
}

/// Request: the greatest `call_history_id` of a 3CX.
#[derive(Debug, Clone)]
pub struct GetLastCallId {
    /// The 3CX.
    pub pbx: String,
    /// For whom it is remembered that it was handed out.
    pub client: Option<ClientId>,
}

/// Request: what a client that polls with this `call_history_id` is to get, by `cdr_id`: what was stored since it was
/// handed out, if it is remembered; else every leg with a greater one. See [`ClientId`].
#[derive(Debug, Clone)]
pub struct SearchAfterCallId {
    /// The 3CX.
    pub pbx: String,
    /// The text, compared as text.
    pub call_id: String,
    /// Who polls. None: nothing is remembered.
    pub client: Option<ClientId>,
}

/// Request: where is the file of a recording? None where no such recording is stored.
#[derive(Debug, Clone)]
pub struct GetRecording {
    /// The 3CX.
    pub pbx: String,
    /// The 3CX's own number of the recording.
    pub id_recording: i64,
}

/// Pages of rows, read as fast as they are taken. The permit of the request travels with the reading.
///
/// `rest` ends after the last page, once it is remembered what the reply hands out. Whatever else ends the reading is its last item, an error: a failing store, a page
/// that was not taken within 10 s, five minutes for the whole. Dropping this ends it too.
#[derive(Debug)]
pub struct CdrPages {
    /// The first page, read before the reply so that a failing store is an error and not half an answer.
    pub first: Vec<LegacyRow>,
    /// The pages after it.
    pub rest: mpsc::Receiver<Result<Vec<LegacyRow>, StoreError>>,
}
