//! `POST make-call`: ring an extension, then have it connected to a number.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::ari::Originate;
use crate::http::AppState;
use crate::http::body::{Field, Fields};
use crate::http::legacy_error::Refusal;
use crate::telephony::{Extension, InvalidExtension, PhoneNumber};

/// The external subscriber's number, and the extension that rings first: the original's names.
const NUMBER: &str = "source_caller_id";
const EXTENSION: &str = "caller_id";

/// The most digits that are read; more are no number to dial anywhere.
const MAX_DIGITS: usize = 15;

/// The reply, once the PBX took the request.
#[derive(Serialize)]
struct Placed {
    uniqueid: String,
    #[serde(rename = "originateCallStatus")]
    status: &'static str,
}

pub(in crate::http) async fn post(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<AppState>,
) -> HttpResponse {
    place(&request, payload, &state)
        .await
        .unwrap_or_else(|refusal| refusal.respond(&request))
}

async fn place(
    request: &HttpRequest,
    payload: web::Payload,
    state: &AppState,
) -> Result<HttpResponse, Refusal> {
    let deadline = state.deadline();
    let fields = Fields::read(request, payload, deadline).await?;
    let originate = parse(&fields, state.extension_length).map_err(Refusal::fields)?;
    let originated = state.gateway.originate(originate, deadline).await?;
    Ok(HttpResponse::Ok().json(Placed {
        uniqueid: originated.call_id.to_string(),
        status: "successful",
    }))
}

fn parse(fields: &Fields, extension_length: Option<usize>) -> Result<Originate, Vec<String>> {
    let (number, extension) = match (number(fields, NUMBER), number(fields, EXTENSION)) {
        (Ok(number), Ok(extension)) => (number, extension),
        (Err(complaints), Ok(_)) | (Ok(_), Err(complaints)) => return Err(complaints),
        (Err(mut complaints), Err(more)) => {
            complaints.extend(more);
            return Err(complaints);
        }
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
        (Ok(number), Ok(extension)) => Ok(Originate { extension, number }),
        (number, extension) => Err([number.err(), extension.err()].into_iter().flatten().collect()),
    }
}

/// A field that must be a number, as it was written; or the original's complaints.
fn number(fields: &Fields, name: &str) -> Result<String, Vec<String>> {
    let field = fields.get(name);
    let mut complaints = Vec::new();
    if field.is_empty() {
        complaints.push(format!("{name} should not be empty"));
    }
    match field {
        Field::Number(token) => Ok(token),
        Field::Absent | Field::Text(_) | Field::Other => {
            complaints.push(format!(
                "{name} must be a number conforming to the specified constraints"
            ));
            Err(complaints)
        }
    }
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
