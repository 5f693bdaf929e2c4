//! What is looked for among calls, as SQL that both databases understand.

use crate::call::CallId;
use crate::ledger::{SearchCalls, StateFilter};
use crate::telephony::PhoneNumber;

/// A parameter of a statement.
pub(super) enum Parameter {
    Text(String),
    Id(CallId),
}

/// The part of a `SELECT … FROM ledger_call` that comes after that, and its parameters. Parameters are numbered from 1,
/// each number after the `mark` of the database.
pub(super) fn filter(search: &SearchCalls, mark: char) -> (String, Vec<Parameter>) {
    let mut parameters = Vec::new();
    let mut bind = |parameter| {
        parameters.push(parameter);
        format!("{mark}{}", parameters.len())
    };
    let mut one_of = |column: &str, values: Vec<String>| {
        let values: Vec<String> = values
            .into_iter()
            .map(|value| bind(Parameter::Text(value)))
            .collect();
        match values.as_slice() {
            // Neither database has an empty list.
            [] => "FALSE".to_owned(),
            values => format!("{column} IN ({})", values.join(", ")),
        }
    };
    let mut conditions = Vec::new();
    if let Some(integrations) = &search.integrations {
        conditions.push(one_of("integration", integrations.clone()));
    }
    match search.state {
        None => {}
        // By their own index, which is small: in the order of ids all calls would be read to find the last of these.
        Some(StateFilter::Live) => {
            conditions.push("id IN (SELECT id FROM ledger_call WHERE NOT closed)".to_owned());
        }
        Some(StateFilter::In(state)) => conditions.push(one_of("state", vec![state.as_str().to_owned()])),
    }
    if let Some(extension) = &search.extension {
        conditions.push(one_of("extension", vec![extension.to_string()]));
    }
    if let Some(number) = &search.number {
        let digits = PhoneNumber::digits_of(number.as_str());
        conditions.push(one_of("number", vec![digits.to_owned(), format!("+{digits}")]));
    }
    if let Some(external_id) = &search.external_id {
        conditions.push(one_of("external_id", vec![external_id.clone()]));
    }
    if let Some(first) = search.first() {
        conditions.push(format!("id >= {}", bind(Parameter::Id(first))));
    }
    if let Some(end) = search.end() {
        conditions.push(format!("id < {}", bind(Parameter::Id(end))));
    }
    let filter = match conditions.as_slice() {
        [] => String::new(),
        conditions => format!(" WHERE {}", conditions.join(" AND ")),
    };
    (
        format!("{filter} ORDER BY id DESC LIMIT {}", search.limit),
        parameters,
    )
}
