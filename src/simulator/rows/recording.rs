//! The recordings that legs leave.

use super::ids::Mint;
use crate::cdr::{Cdr, Recording};
use crate::simulator::firm;

/// The longest number in a file's name, in characters of up to four bytes: it is there up to three times, and a name
/// has at most 255 bytes.
const LONGEST: usize = 16;

/// The recording of an answered leg of the live call `number`, between an extension and another; None for a leg that
/// nobody answered.
pub(in crate::simulator) fn recording(
    mint: &Mint,
    leg: &Cdr,
    number: u32,
    extension: &str,
    other: &str,
) -> Option<Recording> {
    let answered = leg.cdr_answered_at?;
    let [extension, other] = [extension, other].map(of_a_file_name);
    let (last, first) = firm::name_of(&extension);
    let stamp = answered.strftime("%Y%m%d%H%M%S");
    Some(Recording {
        id_recording: mint.recording(),
        cdr_id: leg.cdr_id,
        recording_url: Some(format!(
            "{extension}/[{last}, {first}]_{extension}-{other}_{stamp}({number}).wav"
        )),
        start_time: Some(answered),
        end_time: Some(leg.cdr_ended_at),
        archived: Some(false),
        archived_url: None,
    })
}

/// Whoever calls says what their number is: what could lead to another folder is left out.
fn of_a_file_name(text: &str) -> String {
    let allowed = |c: &char| c.is_alphanumeric() || "+ '-&".contains(*c);
    let name: String = text.chars().filter(allowed).take(LONGEST).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::simulator::rows::{Flow, Origin, Party};

    fn url(extension: &str, other: &str) -> String {
        let mint = Mint::default();
        let at = "2026-02-10T23:59:59.9Z".parse().unwrap();
        let mut flow = Flow::begin(&mint, Party::external_line(other, true), at);
        let leg = flow.leg(&mint, Party::extension(extension), at, Origin::CallInit);
        assert_eq!(recording(&mint, &flow.legs[leg], 12, extension, other), None);
        flow.answer(leg, at + SignedDuration::from_millis(200));
        let recording = recording(&mint, &flow.legs[leg], 12, extension, other).unwrap();
        recording.recording_url.unwrap()
    }

    #[test]
    fn a_file_is_named_as_3cx_names_it() {
        assert_eq!(
            url("104", "+79000001101"),
            "104/[Кузнецова-Лебедева, Мария]_104-+79000001101_20260211000000(12).wav"
        );
    }

    #[test]
    fn no_number_leads_to_another_folder() {
        assert_eq!(
            url("../..", "/etc/passwd\0"),
            "_/[Оператор, _]__-etcpasswd_20260211000000(12).wav"
        );
        let long = url(&"𝟗".repeat(1_000), &"𝟗".repeat(1_000));
        assert!(long.split('/').all(|name| name.len() <= 255), "{long}");
    }
}
