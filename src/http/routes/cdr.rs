//! `POST cdr`: what a client does not have yet, page by page.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, post, web};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::cdr::{CdrPages, LegacyRow, SearchAfterCallId};
use crate::database::StoreError;
use crate::http::access::Caller;
use crate::http::body::{Body, Field, Fields};
use crate::http::document::{AskErrors, BodyErrors, NotConfiguredError, StoreErrors};
use crate::http::error::ApiError;
use crate::http::legacy_row::RenderedRow;
use crate::http::recording_links::{RecordingLinks, Signing};
use crate::http::state::AppState;

/// Every stored leg whose `call_id` is greater than this text, by `cdr_id`; streamed.
#[utoipa::path(
    tag = "pbx-api",
    security(("key" = ["cdr:read"])),
    request_body = CdrSearch,
    responses(
        (status = 200, description = "The legs; none is an empty array.", body = Vec<RenderedRow>),
        BodyErrors,
        NotConfiguredError, AskErrors, StoreErrors,
    ),
)]
#[post("/pbx-api/cdr")]
pub(super) async fn cdr(
    body: Body,
    caller: Caller,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let deadline = state.deadline();
    let pbx = state.default_pac(&caller)?;
    let call_id = call_id(&Fields::read(body, deadline).await?)?;
    let signing = state.recording_links.signing(state.keys().link_key())?;
    let search = SearchAfterCallId {
        pbx: pbx.to_string(),
        call_id,
        client: state.polling_client(&caller),
    };
    let pages = state.cdr().ask_for(caller.client(), search, deadline).await?;
    Ok(array_of(
        pages,
        Arc::clone(&state.recording_links),
        signing,
        state.timeout(),
    ))
}

/// What to look for. Other fields are ignored.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body that is read field by field")]
struct CdrSearch {
    /// The greatest id that the client has seen; `0` is smaller than any.
    #[schema(
        example = "00000000-01dd-7a15-d07f-8ab0000f4240",
        min_length = 1,
        pattern = "^[^\\u0000]+$"
    )]
    call_id: String,
}

/// The pages as one array. A page may take as long as `page_timeout`; the whole is bounded where it is read.
pub(in crate::http) fn array_of(
    pages: CdrPages,
    links: Arc<RecordingLinks>,
    signing: Option<Signing>,
    page_timeout: Duration,
) -> HttpResponse {
    let array = Array {
        pages,
        links,
        signing,
        page_timeout,
        begun: false,
        part: Part::First,
    };
    HttpResponse::Ok()
        .content_type("application/json; charset=utf-8")
        .streaming(array.into_stream())
}

fn call_id(fields: &Fields) -> Result<String, ApiError> {
    let field = fields.get("call_id");
    let empty = field.is_empty();
    let mut complaints = Vec::new();
    let text = match field {
        Field::Text(text) => text,
        Field::Absent | Field::Number(_) | Field::Other => {
            complaints.push("call_id must be a string".to_owned());
            String::new()
        }
    };
    if empty {
        complaints.push("call_id should not be empty".to_owned());
    }
    // No id has one, and PostgreSQL has no text with one.
    if text.contains('\0') {
        complaints.push("call_id must not hold a NUL".to_owned());
    }
    if complaints.is_empty() {
        Ok(text)
    } else {
        Err(ApiError::invalid_fields(complaints))
    }
}

/// Why an answer ended half-way. The connection is then cut, so that nobody takes what came for all.
#[derive(Debug, thiserror::Error)]
enum BrokenOff {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the deadline passed")]
    DeadlineExceeded,
    #[error("a row cannot be rendered: {0}")]
    Render(#[from] serde_json::Error),
}

/// What comes next of the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    First,
    Rest,
    Nothing,
}

/// A JSON array, written as its rows are read.
struct Array {
    pages: CdrPages,
    links: Arc<RecordingLinks>,
    signing: Option<Signing>,
    /// How long one page may take; the whole is bounded where it is read.
    page_timeout: Duration,
    begun: bool,
    part: Part,
}

impl Array {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, BrokenOff>> {
        stream::try_unfold(self, |mut array| async move {
            match array.next().await {
                Ok(chunk) => Ok(chunk.map(|chunk| (chunk, array))),
                Err(error) => {
                    tracing::error!(%error, "an answer was cut off");
                    Err(error)
                }
            }
        })
    }

    /// The next piece of text, never empty: to a chunked body an empty one is its end.
    async fn next(&mut self) -> Result<Option<Bytes>, BrokenOff> {
        match self.part {
            Part::First => {
                self.part = Part::Rest;
                let rows = std::mem::take(&mut self.pages.first);
                let mut text = b"[".to_vec();
                self.write(&mut text, &rows)?;
                Ok(Some(text.into()))
            }
            Part::Rest => loop {
                let page = timeout(self.page_timeout, self.pages.rest.recv())
                    .await
                    .map_err(|_| BrokenOff::DeadlineExceeded)?;
                let Some(page) = page else {
                    self.part = Part::Nothing;
                    return Ok(Some(Bytes::from_static(b"]")));
                };
                let mut text = Vec::new();
                self.write(&mut text, &page?)?;
                if !text.is_empty() {
                    return Ok(Some(text.into()));
                }
            },
            Part::Nothing => Ok(None),
        }
    }

    fn write(&mut self, text: &mut Vec<u8>, rows: &[LegacyRow]) -> Result<(), BrokenOff> {
        for row in rows {
            if std::mem::replace(&mut self.begun, true) {
                text.push(b',');
            }
            let recording_url = self.links.link(self.signing.as_ref(), row);
            serde_json::to_writer(&mut *text, &RenderedRow::new(row, recording_url))?;
        }
        Ok(())
    }
}
