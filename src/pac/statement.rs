//! SQL for PAC: fixed text, typed values, nothing else.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use uuid::Uuid;

/// A value in a statement. None of these can hold text of a caller's.
#[derive(Debug, Clone, PartialEq, derive_more::From)]
pub enum Param {
    /// An id.
    Uuid(Uuid),
    /// A whole number.
    Integer(i64),
    /// A moment, as `to_timestamp(…)`.
    Timestamp(Timestamp),
    /// Several values, as a list for `IN (…)`; must not be empty.
    List(Vec<Self>),
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(id) => write!(f, "'{id}'"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Timestamp(at) => {
                let micros = at.as_microsecond();
                let sign = if micros < 0 { "-" } else { "" };
                let (seconds, fraction) = (
                    micros.unsigned_abs() / 1_000_000,
                    micros.unsigned_abs() % 1_000_000,
                );
                write!(f, "to_timestamp({sign}{seconds}.{fraction:06})")
            }
            Self::List(values) => {
                let values: Vec<String> = values.iter().map(Self::to_string).collect();
                f.write_str(&values.join(", "))
            }
        }
    }
}

/// A statement for [`ExecuteSql`](super::ExecuteSql), ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    name: &'static str,
    text: String,
}

impl Statement {
    /// Fills the template's `$1`, `$2`, … with `params` in order. `name` stands for the statement in metrics and
    /// errors.
    ///
    /// # Panics
    /// When the template names a parameter that is not there: a bug that the first test finds.
    pub fn new(name: &'static str, template: &'static str, params: &[Param]) -> Self {
        let mut pieces = template.split('$');
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
            let number: usize = piece[..digits].parse().unwrap_or_default();
            let param = number.checked_sub(1).and_then(|index| params.get(index));
            #[expect(
                clippy::expect_used,
                reason = "documented: a template and its parameters stand side by side"
            )]
            let param = param.expect("a template's parameter is given");
            let _ = write!(text, "{param}{}", &piece[digits..]);
        }
        Self { name, text }
    }

    /// What it is called in metrics and errors.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The SQL.
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_every_kind_of_value() {
        let at: Timestamp = "2025-12-08T21:32:26.70634Z".parse().unwrap();
        let params = [
            Param::Uuid(Uuid::nil()),
            Param::Integer(-5),
            Param::Timestamp(at),
            Param::List(vec![Uuid::nil().into(), Uuid::max().into()]),
            Param::List(vec![1.into(), (-2).into()]),
        ];
        let statement = Statement::new(
            "test",
            "SELECT 1 WHERE a = $1 AND b > $2 AND c < $3 AND d IN ($4) AND e IN ($5)",
            &params,
        );
        assert_eq!(
            statement.text(),
            "SELECT 1 WHERE a = '00000000-0000-0000-0000-000000000000' AND b > -5 \
             AND c < to_timestamp(1765229546.706340) \
             AND d IN ('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff') \
             AND e IN (1, -2)"
        );
    }

    #[test]
    #[should_panic(expected = "a template's parameter is given")]
    fn a_missing_value_is_a_bug() {
        let _ = Statement::new("test", "SELECT $1", &[]);
    }
}
