//! Who may use which route: read from the document itself.

use std::collections::BTreeMap;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::ledger::key::Scope;

/// The security scheme that operations name, each with the scope that it takes.
pub(in crate::http) const KEY: &str = "key";

/// Who may use a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody, as often as they like: who asks whether the gateway is well must have an answer.
    Health,
    /// Anybody.
    Public,
    /// Holders of a key with this scope.
    Scope(Scope),
    /// Holders of a key with this scope, and whoever has something else that the route itself looks at, such as a signed
    /// link. A key that is sent must be good all the same.
    Optional(Scope),
}

/// Every route of the document by its pattern and method.
#[derive(Debug, Default)]
pub(super) struct Routes(BTreeMap<String, BTreeMap<String, Option<Access>>>);

impl Routes {
    /// Those of a document.
    pub(super) fn of(document: &Value) -> Self {
        let paths = document.get("paths").and_then(Value::as_object);
        let routes = paths.into_iter().flatten().map(|(pattern, item)| {
            let methods = item.as_object().into_iter().flatten();
            let methods = methods.map(|(method, operation)| (method.to_ascii_uppercase(), access(operation)));
            (pattern.clone(), methods.collect())
        });
        Self(routes.collect())
    }

    /// Who may use a route; nobody where the document does not say.
    pub(super) fn access(&self, pattern: &str, method: &Method) -> Option<&Access> {
        self.0.get(pattern)?.get(method.as_str())?.as_ref()
    }

    /// The methods of a pattern, where there is such a one.
    pub(super) fn methods(&self, pattern: &str) -> Option<Vec<&str>> {
        let methods = self.0.get(pattern)?;
        Some(methods.keys().map(String::as_str).collect())
    }
}

fn access(operation: &Value) -> Option<Access> {
    let security = operation.get("security")?.as_array()?;
    let without = security
        .iter()
        .any(|requirement| requirement.as_object().is_some_and(serde_json::Map::is_empty));
    let mut scopes = security.iter().filter_map(|requirement| requirement.get(KEY));
    let Some(scope) = scopes.next() else {
        let is_health = operation["tags"] == json!(["health"]);
        let access = if is_health { Access::Health } else { Access::Public };
        return without.then_some(access);
    };
    // What is not one scope that exists is nobody's.
    let ([scope], None) = (scope.as_array()?.as_slice(), scopes.next()) else {
        return None;
    };
    let scope = Scope::parse(scope.as_str()?)?;
    Some(if without {
        Access::Optional(scope)
    } else {
        Access::Scope(scope)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_use_a_route_is_what_its_security_says() {
        let key = json!({ "key": ["cdr:read"] });
        let header = json!({ "key_header": ["cdr:read"] });
        for (security, expected) in [
            (json!([{}]), Some(Access::Public)),
            (json!([key, header]), Some(Access::Scope(Scope::CdrRead))),
            (json!([{}, key, header]), Some(Access::Optional(Scope::CdrRead))),
            // What makes no sense, or says nothing, lets nobody in.
            (json!([]), None),
            (json!([{ "key": [] }]), None),
            (json!([{ "key": ["cdr:raed"] }]), None),
            (json!([{}, { "key": ["cdr:raed"] }]), None),
            (json!([{}, { "key": [] }]), None),
            (json!([{ "key": ["cdr:read", "admin"] }]), None),
            (json!([key, { "key": ["admin"] }]), None),
            (json!([header]), None),
            (Value::Null, None),
        ] {
            let operation = json!({ "security": security });
            assert_eq!(access(&operation), expected, "{operation}");
        }
        assert_eq!(access(&json!({})), None);
        let health = json!({ "security": [{}], "tags": ["health"] });
        assert_eq!(access(&health), Some(Access::Health));
    }
}
