//! A request's parameters: of the query, of a form or of a JSON body, and the body wins.

use std::collections::HashMap;

use actix_web::web::Query;
use serde_json::{Map, Value};

/// Parameters that cannot be read.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the request cannot be read")]
pub(super) struct Unreadable;

#[derive(Debug, Default)]
pub(super) struct Parameters {
    values: HashMap<String, String>,
    /// The body where it is JSON.
    pub(super) body: Option<Value>,
}

impl Parameters {
    pub(super) fn read(query: &str, content_type: &str, body: &[u8]) -> Result<Self, Unreadable> {
        let mut parameters = Self::default();
        parameters.add_pairs(query)?;
        if body.is_empty() {
            return Ok(parameters);
        }
        if content_type.starts_with("application/x-www-form-urlencoded") {
            let text = std::str::from_utf8(body).map_err(|_| Unreadable)?;
            parameters.add_pairs(text)?;
            return Ok(parameters);
        }
        let body: Value = serde_json::from_slice(body).map_err(|_| Unreadable)?;
        for (name, value) in body.as_object().into_iter().flatten() {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => continue,
            };
            parameters.values.insert(name.clone(), text);
        }
        parameters.body = Some(body);
        Ok(parameters)
    }

    fn add_pairs(&mut self, text: &str) -> Result<(), Unreadable> {
        let pairs = Query::<Vec<(String, String)>>::from_query(text).map_err(|_| Unreadable)?;
        self.values.extend(pairs.into_inner());
        Ok(())
    }

    /// A parameter; an empty one is as good as none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Channel variables, or None where one is no text.
    pub(super) fn variables(&self) -> Option<Map<String, Value>> {
        let given = self.body.as_ref().and_then(|body| body.get("variables"));
        let Some(given) = given else {
            return Some(Map::new());
        };
        let variables = given.as_object()?;
        let is_text = |value: &Value| value.is_string() || value.get("value").is_some_and(Value::is_string);
        variables.values().all(is_text).then(|| variables.clone())
    }
}
