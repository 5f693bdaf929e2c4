//! Telephony's own types, without IO: parsed once at the door, trusted after it.

mod extension;
mod hangup_cause;
mod phone_number;
mod trunk;

pub use extension::{Extension, InvalidExtension};
pub use hangup_cause::HangupCause;
pub use phone_number::{InvalidPhoneNumber, PhoneNumber, mask};
pub use trunk::{DialplanContext, InvalidName, TrunkName};
