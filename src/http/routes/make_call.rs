//! `POST make-call`: ring an extension, then have it connected to a number.

use actix_web::{post, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ari::Originate;
use crate::call::{CallId, RequestedBy};
use crate::http::access::Caller;
use crate::http::body::{Body, Field, Fields};
use crate::http::document::{BodyErrors, error_responses};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::state::AppState;
use crate::telephony::{Extension, InvalidExtension, PhoneNumber};

/// The external subscriber's number, and the extension that rings first: the original's names.
const NUMBER: &str = "source_caller_id";
const EXTENSION: &str = "caller_id";

/// The most digits that are read; more are no number to dial anywhere.
const MAX_DIGITS: usize = 15;

/// The reply, once the PBX took the request.
#[derive(Serialize, ToSchema)]
pub(super) struct Placed {
    /// The call's id, which on Asterisk is its first channel's.
    #[schema(example = "01970f3e-6b1c-7c1e-9d5a-3f1f0c8b7a21")]
    uniqueid: String,
    /// Always `successful`: what else can happen is an error.
    #[serde(rename = "originateCallStatus")]
    #[schema(example = "successful")]
    status: &'static str,
}

/// What to connect. Other fields are ignored.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body whose numbers are read as they were written"
)]
struct MakeCall {
    /// The external subscriber's number.
    #[schema(example = 79102223311_u64, minimum = 0, maximum = 999_999_999_999_999_u64)]
    source_caller_id: u64,
    /// The extension, which rings first; where the settings say how many digits extensions have, it has as many.
    #[schema(example = 102, minimum = 0, maximum = 9_999_999_999_u64)]
    caller_id: u64,
}

error_responses! {
    /// What Asterisk or the way to it can do to an originate.
    OriginateErrors [
        CredentialsRefused, UnknownTrunk, Rejected, OriginateOutcomeUnknown, NotConfigured, Saturated,
        CircuitOpen, Paused, Restarting, Failed, TooManyCalls, TrunkRate, NotConnected, RequestNotSent,
        DeadlineExceeded,
    ];
}

/// Rings an extension and connects it to a number. Busy and no answer come after this reply: they are seen on the call.
#[utoipa::path(
    tag = "pbx-api",
    security(("key" = ["calls:write"])),
    request_body = MakeCall,
    responses(
        (status = 200, description = "Asterisk took the call.", body = Placed),
        BodyErrors,
        OriginateErrors,
    ),
)]
#[post("/pbx-api/make-call")]
pub(super) async fn make_call(
    body: Body,
    caller: Caller,
    state: web::Data<AppState>,
) -> Result<web::Json<Placed>, ApiError> {
    let deadline = state.deadline();
    let trunk = state.default_trunk(&caller).map_err(ApiError::not_placed)?;
    // A body that is wrong gets the original's answer, which says nothing of a call.
    let fields = Fields::read(body, deadline).await;
    let fields = fields.map_err(|error| {
        if error.code == ErrorCode::InvalidRequest {
            error
        } else {
            error.not_placed()
        }
    })?;
    let (extension, number) = parse(&fields, state.extension_length()).map_err(ApiError::invalid_fields)?;
    let call_id = CallId::mint();
    let requested_by = RequestedBy {
        key: caller.key().map(|key| key.name.clone()),
        extension: Some(extension.to_string()),
    };
    let originate = Originate {
        call_id,
        extension,
        number,
        requested_by,
    };
    let placed = trunk.originate(caller.client(), originate, deadline).await;
    placed.map_err(|error| ApiError::from(error).of_call(call_id))?;
    Ok(web::Json(Placed {
        uniqueid: call_id.to_string(),
        status: "successful",
    }))
}

fn parse(fields: &Fields, extension_length: Option<usize>) -> Result<(Extension, PhoneNumber), Vec<String>> {
    let mut complaints = Vec::new();
    let number = number_of(fields, NUMBER, &mut complaints);
    let extension = number_of(fields, EXTENSION, &mut complaints);
    let (Some(number), Some(extension)) = (number, extension) else {
        return Err(complaints);
    };
    let number = whole(&number)
        .and_then(|digits| PhoneNumber::parse(&digits).ok())
        .ok_or_else(|| format!("{NUMBER} must be a whole number of 1 to {MAX_DIGITS} digits"));
    let extension = whole(&extension)
        .ok_or(InvalidExtension::NotDigits)
        .and_then(|digits| Extension::parse(&digits, extension_length))
        .map_err(|error| match error {
            InvalidExtension::NotDigits => format!("{EXTENSION} must be a whole number of 1 to 10 digits"),
            InvalidExtension::WrongLength(length) => format!("{EXTENSION} must have {length} digits"),
        });
    match (number, extension) {
        (Ok(number), Ok(extension)) => Ok((extension, number)),
        (number, extension) => Err([number.err(), extension.err()].into_iter().flatten().collect()),
    }
}

/// A field that must be a number, as it was written; where it is none, the original's complaints.
fn number_of(fields: &Fields, name: &str, complaints: &mut Vec<String>) -> Option<String> {
    let field = fields.get(name);
    if field.is_empty() {
        complaints.push(format!("{name} should not be empty"));
    }
    let Field::Number(token) = field else {
        complaints.push(format!(
            "{name} must be a number conforming to the specified constraints"
        ));
        return None;
    };
    Some(token)
}

/// The digits of a JSON number that is whole, not negative and of at most [`MAX_DIGITS`] digits, computed from its
/// text alone: `102.0` is 102 and `1e3` is 1000, and no other number can come out than was sent.
fn whole(token: &str) -> Option<String> {
    let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if integer.is_empty() || !all_digits(integer) || !all_digits(fraction) {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{integer}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    // The value is `significant` with this many zeros after it; fewer than none would be a fraction.
    let zeros = i64::from(exponent) - i64::try_from(fraction.len()).ok()?
        + i64::try_from(digits.len() - significant.len()).ok()?;
    let zeros = usize::try_from(zeros).ok()?;
    (significant.len().checked_add(zeros)? <= MAX_DIGITS).then(|| significant.to_owned() + &"0".repeat(zeros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_dialled_as_it_was_meant_however_it_is_written() {
        for (token, digits) in [
            ("102", "102"),
            ("102.0", "102"),
            ("102.000", "102"),
            ("1e3", "1000"),
            ("1E+3", "1000"),
            ("1.5e1", "15"),
            ("1020e-1", "102"),
            ("0.102e3", "102"),
            ("10.20e2", "1020"),
            ("100", "100"),
            ("0", "0"),
            ("0.0", "0"),
            ("0e999", "0"),
            ("79102223311", "79102223311"),
            ("123456789012345", "123456789012345"),
            ("1e14", "100000000000000"),
        ] {
            assert_eq!(whole(token).as_deref(), Some(digits), "{token}");
        }
    }

    #[test]
    fn any_other_number_is_none_to_dial() {
        for token in [
            "-1",
            "-0",
            "-1.5",
            "1.5",
            "102.00000000000000000001",
            "1e-1",
            "1234567890123456",
            "9007199254740993",
            "1e15",
            "1e999999999",
            "1e-999999999",
            "1e99999999999999999999",
            "",
            ".5",
            "+1",
            "1e",
            "NaN",
            "0x10",
        ] {
            assert_eq!(whole(token), None, "{token}");
        }
    }
}
