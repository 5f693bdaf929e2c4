//! `GET` and `HEAD v1/recordings/{id}/media`: a recording's file, or a part of it.

use actix_web::body::{BodySize, MessageBody as _, SizedStream};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY, ContentRangeSpec,
    ContentType, HeaderValue, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, get, head, web};
use futures_util::stream;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use utoipa::IntoParams;

use crate::actor::{AskError, ClientId};
use crate::cdr::GetRecording;
use crate::http::access::{Caller, Pbx};
use crate::http::document::{AskErrors, StoreErrors, error_responses};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::site::{Site, client_address};
use crate::http::state::AppState;
use crate::recordings::{LinkSignature, OpenRecording, OpenedRecording, RecordingError, RecordingId};

/// What a name holds as it is in `filename*`: RFC 5987's `attr-char`.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// A browser that opens a link makes a player of its own around it, which loads the file from here; nothing else may.
const PLAYER_POLICY: &str =
    "default-src 'none'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A recording's file, or the part of it that `Range` names.
///
/// The links in the rows of `POST cdr` lead here. They are signed and need no key, so they open from a CRM and in a
/// player; without a signature a key is needed.
#[utoipa::path(
    tag = "recordings",
    security((), ("key" = ["recordings:read"])),
    params(RecordingPath, LinkSignature),
    responses(
        (status = 200, description = "The file.", body = Vec<u8>, content_type = "audio/wav"),
        (status = 206, description = "The part of it that `Range` names.", body = Vec<u8>, content_type = "audio/wav"),
        (status = 304, description = "The client has it already, by `If-None-Match` or `If-Modified-Since`."),
        (status = 412, description = "It changed, by `If-Match` or `If-Unmodified-Since`."),
        (status = 416, description = "It is shorter than `Range` supposes: `Content-Range` says how long it is."),
        MediaErrors, AskErrors, StoreErrors,
    ),
)]
#[get("/v1/recordings/{id}/media")]
pub(super) async fn media(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<AppState>,
    caller: Option<Caller>,
) -> Result<HttpResponse, ApiError> {
    answer(&request, &id, &state, caller.as_ref()).await
}

/// What a recording's file is, without the file; by a link or with a key.
#[utoipa::path(
    tag = "recordings",
    security((), ("key" = ["recordings:read"])),
    params(RecordingPath, LinkSignature),
    responses(
        (status = 200, description = "`Content-Length`, `Content-Type`, `ETag` and `Last-Modified` say it."),
        (status = 304, description = "The client has it already, by `If-None-Match` or `If-Modified-Since`."),
        (status = 412, description = "It changed, by `If-Match` or `If-Unmodified-Since`."),
        MediaErrors, AskErrors, StoreErrors,
    ),
)]
#[head("/v1/recordings/{id}/media")]
pub(super) async fn media_head(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<AppState>,
    caller: Option<Caller>,
) -> Result<HttpResponse, ApiError> {
    answer(&request, &id, &state, caller.as_ref()).await
}

/// Which recording.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes a part of the path that is parsed as a whole")]
struct RecordingPath {
    /// The name of its PBX in the settings, a dot, and the number that 3CX gave it.
    #[param(example = "main.789")]
    id: String,
}

error_responses! {
    /// What can become of the request for a recording.
    MediaErrors [
        LinkInvalid, LinkExpired, NotFound, RecordingFileMissing, RecordingArchived, RecordingUnreadable,
        RecordingsUnavailable,
    ];
}

async fn answer(
    request: &HttpRequest,
    id: &str,
    state: &AppState,
    caller: Option<&Caller>,
) -> Result<HttpResponse, ApiError> {
    let id: RecordingId = id.parse().map_err(|_| ApiError::not_found("recording"))?;
    let pbx = visible(request, &id, state, caller)?;
    let recording = open(pbx, &id, state, &client(request, caller)).await?;
    Ok(respond(request, recording))
}

/// The PBX of a recording that the request may have: by the signature of its link, or else as somebody who may see the PBX.
fn visible<'a>(
    request: &HttpRequest,
    id: &'a RecordingId,
    state: &AppState,
    caller: Option<&Caller>,
) -> Result<Pbx<'a>, ApiError> {
    if let Ok(link) = web::Query::<LinkSignature>::from_query(request.query_string()) {
        let key = state.keys().link_key();
        let key = key.ok_or_else(ApiError::link_key_unavailable)?;
        return Pbx::of_link(&link, &key, id);
    }
    let nobody = || {
        let words = "neither a signed link nor a key came";
        ErrorCode::Unauthenticated.error(words).refused()
    };
    caller.ok_or_else(nobody)?.pbx(&id.pbx, "recording")
}

/// Whom it is for: with nothing but a link, its site.
fn client(request: &HttpRequest, caller: Option<&Caller>) -> ClientId {
    let site = || Site::of(client_address(request.peer_addr()));
    caller.map_or_else(
        || ClientId::named(format!("site:{}", site())),
        |caller| caller.client().clone(),
    )
}

/// Finds a recording's file in the CDR store, then asks the actor of its directory for it.
///
/// # Cancel safety
/// Safe: a read. What was opened for nobody is closed.
async fn open(
    pbx: Pbx<'_>,
    id: &RecordingId,
    state: &AppState,
    client: &ClientId,
) -> Result<OpenedRecording, ApiError> {
    let deadline = state.deadline();
    let unknown = || ApiError::not_found("recording");
    let recordings = state.recordings(pbx).ok_or_else(unknown)?;
    let question = GetRecording {
        pbx: pbx.to_string(),
        id_recording: id.id_recording,
    };
    let stored = state.cdr().ask_for(client, question, deadline).await?;
    let stored = stored.ok_or_else(unknown)?;
    let path = stored
        .recording_url
        .ok_or_else(ApiError::recording_file_missing)?;
    match recordings.ask_for(client, OpenRecording { path }, deadline).await {
        Err(AskError::Reply(RecordingError::Missing)) if stored.archived => {
            Err(ApiError::recording_archived())
        }
        opened => Ok(opened?),
    }
}

/// The response: actix-files goes by the request's conditions and range, and our own reader reads.
fn respond(request: &HttpRequest, recording: OpenedRecording) -> HttpResponse {
    let OpenedRecording { file, reader } = recording;
    // What is no sound is never shown, as it would be a page of ours.
    let is_sound = file.content_type().type_() == "audio";
    let name = file
        .path()
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let disposition = disposition(is_sound, &name.unwrap_or_default());
    // Of nothing there is no part; actix-files would name its last byte.
    if file.metadata().len() == 0 && *request.method() == Method::GET && request.headers().contains_key(RANGE)
    {
        return HttpResponse::RangeNotSatisfiable()
            .insert_header((CONTENT_RANGE, "bytes */0"))
            .finish();
    }
    let file = file.disable_content_disposition();
    let file = if is_sound {
        file
    } else {
        file.set_content_type(ContentType::octet_stream().0)
    };
    let mut response = file.into_response(request);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PLAYER_POLICY));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    let length = match (response.status(), response.body().size()) {
        (StatusCode::OK | StatusCode::PARTIAL_CONTENT, BodySize::Sized(length)) => length,
        (_, BodySize::None | BodySize::Sized(_) | BodySize::Stream) => return response,
    };
    if *request.method() == Method::HEAD {
        // The file is closed already; only its length is told.
        let nothing = stream::empty::<Result<_, RecordingError>>();
        return response
            .set_body(SizedStream::new(length, nothing))
            .map_into_boxed_body();
    }
    let body = reader.into_stream(offset(&response), length);
    response
        .set_body(SizedStream::new(length, body))
        .map_into_boxed_body()
}

/// Where the part begins that the response is about.
fn offset(response: &HttpResponse) -> u64 {
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    match range.map(str::parse) {
        Some(Ok(ContentRangeSpec::Bytes {
            range: Some((first, _)),
            ..
        })) => first,
        Some(_) | None => 0,
    }
}

/// What to do with a file of this name (RFC 6266): the name in ASCII without what clients read differently, and as it
/// is (RFC 5987).
fn disposition(is_sound: bool, name: &str) -> String {
    let kind = if is_sound { "inline" } else { "attachment" };
    let plain = |c: char| c == ' ' || c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%' | '/');
    let ascii: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let exact = utf8_percent_encode(name, NAME);
    format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{exact}")
}
