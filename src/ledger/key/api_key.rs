//! A key as it is kept: everything but its secret.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::scope::Scope;
use crate::settings::is_key_name;

/// A key's id: a UUIDv7.
#[derive(
    derive_more::Display,
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(transparent)]
pub struct KeyId(pub Uuid);

impl KeyId {
    /// A new one.
    pub fn mint() -> Self {
        Self(Uuid::now_v7())
    }
}

/// A key with all that is known of it. Its secret is known to its owner alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// Its name, which no other live key has.
    pub name: String,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
    /// The PBXs it may see, by name; none means all of them, those of the future too.
    pub pbxs: Option<BTreeSet<String>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it may see what belongs to that PBX.
    pub fn may_see(&self, pbx: &str) -> bool {
        self.pbxs.as_ref().is_none_or(|pbxs| pbxs.contains(pbx))
    }
}

/// A key that is asked for, with nothing wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    pub(in crate::ledger) name: String,
    pub(in crate::ledger) scopes: BTreeSet<Scope>,
    pub(in crate::ledger) pbxs: Option<BTreeSet<String>>,
}

/// What is wrong with a key that is asked for, by field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The name is none.
    #[error("name must be 1 to 64 letters, digits, dots, dashes or underscores")]
    Name,
    /// There is no scope, or one that does not exist.
    #[error(
        "scopes must be one or more of calls:write, calls:read, cdr:read, recordings:read, status:read, admin"
    )]
    Scopes,
    /// There is no PBX, or one that is not configured.
    #[error("pbxs must be one or more of those configured ({}), or left out for all", listed(.configured))]
    Pbxs {
        /// Those that are.
        configured: BTreeSet<String>,
    },
}

fn listed(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "none is".to_owned();
    }
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl NewKey {
    /// Reads what was asked for; `pbxs` none means all, and those that are named must be among the `configured` ones.
    ///
    /// # Errors
    /// The first field that is wrong, with what is allowed.
    pub fn parse(
        name: &str,
        scopes: &[String],
        pbxs: Option<&[String]>,
        configured: &BTreeSet<String>,
    ) -> Result<Self, InvalidKey> {
        if !is_key_name(name) {
            return Err(InvalidKey::Name);
        }
        let scopes: Option<BTreeSet<Scope>> = scopes.iter().map(|scope| Scope::parse(scope)).collect();
        let scopes = scopes
            .filter(|scopes| !scopes.is_empty())
            .ok_or(InvalidKey::Scopes)?;
        let pbxs: Option<BTreeSet<String>> = pbxs.map(|pbxs| pbxs.iter().cloned().collect());
        if let Some(pbxs) = &pbxs
            && (pbxs.is_empty() || !pbxs.is_subset(configured))
        {
            let configured = configured.clone();
            return Err(InvalidKey::Pbxs { configured });
        }
        Ok(Self {
            name: name.to_owned(),
            scopes,
            pbxs,
        })
    }
}

#[cfg(test)]
pub(in crate::ledger) mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    pub(in crate::ledger) fn api_key(name: &str, pbxs: Option<&[&str]>) -> ApiKey {
        ApiKey {
            id: KeyId::mint(),
            name: name.to_owned(),
            scopes: [Scope::CallsWrite, Scope::CdrRead].into(),
            pbxs: pbxs.map(|pbxs| names(pbxs).into_iter().collect()),
            created_at: crate::ledger::key::now(),
            revoked_at: None,
        }
    }

    #[test]
    fn a_key_says_what_is_wrong_with_it() {
        let configured: BTreeSet<String> = ["main".to_owned(), "office".to_owned()].into();
        let parse = |name: &str, scopes: &[&str], pbxs: Option<&[&str]>| {
            let pbxs = pbxs.map(names);
            NewKey::parse(name, &names(scopes), pbxs.as_deref(), &configured)
        };
        let key = parse("crm", &["cdr:read", "cdr:read"], Some(&["office"])).unwrap();
        assert_eq!(key.scopes, [Scope::CdrRead].into());
        assert!(parse("crm", &["admin"], None).is_ok());
        for name in ["", "a b", "a=b", "a,b", "ключ", &"a".repeat(65)] {
            assert_eq!(parse(name, &["admin"], None), Err(InvalidKey::Name), "{name}");
        }
        for scopes in [&[][..], &["cdr"], &["admin", "cdr:write"]] {
            assert_eq!(parse("crm", scopes, None), Err(InvalidKey::Scopes), "{scopes:?}");
        }
        for pbxs in [&[][..], &["branch"], &["main", "branch"]] {
            let error = parse("crm", &["admin"], Some(pbxs)).unwrap_err();
            assert!(error.to_string().contains("(main, office)"), "{error}");
        }
        let error = InvalidKey::Scopes.to_string();
        assert!(Scope::ALL.iter().all(|scope| error.contains(scope.as_str())));
    }

    #[test]
    fn a_key_sees_its_pbxs_and_no_other() {
        assert!(api_key("crm", None).may_see("main"));
        let key = api_key("crm", Some(&["office"]));
        assert!(key.may_see("office") && !key.may_see("main"));
    }
}
