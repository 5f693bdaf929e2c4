//! How a `LedgerActor` answers about keys.

use actix::{Handler, ResponseFuture};

use super::api_key::{ApiKey, KeyId};
use super::maintenance::Maintenance;
use super::messages::{CreateKey, CreatedKey, ListAudit, ListKeys, MAX_AUDIT, RevokeKey, RotateLinkKey};
use super::now;
use super::secret::{KeySecret, LinkKey};
use crate::actor::{Ask, Reply};
use crate::ledger::LedgerActor;

/// Lets a change be seen here at once, as far as possible; the next look shows it anyway.
async fn refresh_here(maintenance: &Maintenance) {
    if let Err(error) = maintenance.refresh().await {
        tracing::warn!(%error, "a change of the keys is seen here a little later");
    }
}

impl Handler<Ask<CreateKey>> for LedgerActor {
    type Result = ResponseFuture<Reply<CreateKey>>;

    fn handle(&mut self, ask: Ask<CreateKey>, _: &mut Self::Context) -> Self::Result {
        let (store, maintenance) = (self.store(), self.maintenance());
        ask.run(|CreateKey { key, by }, _| async move {
            let secret = KeySecret::generate()?;
            let key = ApiKey {
                id: KeyId::mint(),
                name: key.name,
                scopes: key.scopes,
                pbxs: key.pbxs,
                created_at: now(),
                revoked_at: None,
            };
            store?.create_key(key.clone(), secret.digest(), by).await?;
            refresh_here(&maintenance).await;
            Ok(CreatedKey { key, secret })
        })
    }
}

impl Handler<Ask<ListKeys>> for LedgerActor {
    type Result = ResponseFuture<Reply<ListKeys>>;

    fn handle(&mut self, ask: Ask<ListKeys>, _: &mut Self::Context) -> Self::Result {
        let store = self.store();
        ask.run(|ListKeys, _| async move {
            let keys = store?.keys().await?;
            Ok(keys.into_iter().map(|(_, key)| key).collect())
        })
    }
}

impl Handler<Ask<RevokeKey>> for LedgerActor {
    type Result = ResponseFuture<Reply<RevokeKey>>;

    fn handle(&mut self, ask: Ask<RevokeKey>, _: &mut Self::Context) -> Self::Result {
        let (store, maintenance) = (self.store(), self.maintenance());
        ask.run(|RevokeKey { id, by }, _| async move {
            store?.revoke_key(id, by).await?;
            refresh_here(&maintenance).await;
            Ok(())
        })
    }
}

impl Handler<Ask<RotateLinkKey>> for LedgerActor {
    type Result = ResponseFuture<Reply<RotateLinkKey>>;

    fn handle(&mut self, ask: Ask<RotateLinkKey>, _: &mut Self::Context) -> Self::Result {
        let (store, maintenance) = (self.store(), self.maintenance());
        ask.run(|RotateLinkKey { by }, _| async move {
            store?.rotate_link_key(LinkKey::generate()?, by).await?;
            refresh_here(&maintenance).await;
            Ok(())
        })
    }
}

impl Handler<Ask<ListAudit>> for LedgerActor {
    type Result = ResponseFuture<Reply<ListAudit>>;

    fn handle(&mut self, ask: Ask<ListAudit>, _: &mut Self::Context) -> Self::Result {
        let store = self.store();
        ask.run(|ListAudit { before, limit }, _| async move {
            Ok(store?.audit(before, limit.min(MAX_AUDIT)).await?)
        })
    }
}
