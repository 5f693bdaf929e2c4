//! Text that may hold a peer's words, fit for a terminal and a log: what would forge a line, move the cursor or turn the
//! direction of writing is escaped where it is printed, whoever wrote it.

use std::borrow::Cow;
use std::io::{self, Write};

/// A text on one line, without what controls a terminal. Both escapes are JSON's too: a line of JSON stays one.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if text.chars().any(controls) {
        Cow::Owned(escaped(text, |_| false))
    } else {
        Cow::Borrowed(text)
    }
}

/// A text of several lines, without what controls a terminal.
pub(crate) fn lines(text: &str) -> String {
    escaped(text, |c| c == '\n')
}

/// A log whose every event is one line: each is written at once.
#[derive(Debug)]
pub(crate) struct LogLines<W>(pub(crate) W);

impl<W: Write> Write for LogLines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (text, end) = match text.strip_suffix('\n') {
            Some(text) => (text, "\n"),
            None => (&*text, ""),
        };
        self.0.write_all(format!("{}{end}", one_line(text)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Controls, and what turns the direction of writing (Unicode's bidirectional marks, UAX 9) or breaks a line.
fn controls(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, stays: fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if stays(c) || !controls(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            c => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORGED: &str = "bye\n2026 ERROR forged\r\u{1b}[2J\u{202e}drow\u{9b}";
    const SHOWN: &str = "bye\\n2026 ERROR forged\\u000d\\u001b[2J\\u202edrow\\u009b";

    #[test]
    fn a_peers_words_forge_no_line_and_reach_no_terminal() {
        assert_eq!(one_line(FORGED), SHOWN);
        assert_eq!(one_line("Иван, 102 → «дом»"), "Иван, 102 → «дом»");
        assert_eq!(lines("a\nb\u{7}\n"), "a\nb\\u0007\n");
    }

    #[test]
    fn an_event_is_one_line_of_the_log() {
        let mut log = LogLines(Vec::new());
        log.write_all(format!("{FORGED}\n").as_bytes()).unwrap();
        log.write_all(b"next\n").unwrap();
        log.flush().unwrap();
        assert_eq!(String::from_utf8(log.0).unwrap(), format!("{SHOWN}\nnext\n"));
    }
}
