//! The routes, one file a resource.

mod audit;
mod calls;
mod cdr;
mod documents;
mod health;
mod integrations;
mod keys;
mod last_call_id;
mod make_call;
mod media;
mod query;

use actix_web::App;
use actix_web::error::QueryPayloadError;
use actix_web::web::QueryConfig;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_actix_web::{AppExt as _, scope};

#[cfg(test)]
pub(super) use cdr::array_of;
pub(crate) use health::ActorStatus;
pub(crate) use integrations::{Integration, IntegrationList};

use super::document;
use super::error::ApiError;

/// The OpenAPI document of all routes; `base` is what the API's paths begin with, empty or `/…`.
pub(super) fn describe(base: &str) -> OpenApi {
    let app = App::new().into_utoipa_app();
    let (_, document) = app.configure(|config| configure(base, config)).split_for_parts();
    document::complete(document, base)
}

/// Adds all routes; `base` is what the API's paths begin with, empty or `/…`.
pub(super) fn configure(base: &str, config: &mut ServiceConfig<'_>) {
    config
        .app_data(QueryConfig::default().error_handler(|error, _| match error {
            // It names the parameter, and those that there are.
            QueryPayloadError::Deserialize(error) => ApiError::invalid(error.to_string()).into(),
            error => error.into(),
        }))
        .service(health::livez)
        .service(health::readyz)
        .service(health::status)
        .service(health::metrics)
        .service(documents::openapi)
        .service(documents::reference)
        .service(documents::error_codes)
        .service(documents::asset)
        .service(documents::original)
        .service(documents::original_document)
        // The last: without a base it would keep every path from those after it.
        .service(
            scope(base)
                .service(last_call_id::last_call_id)
                .service(cdr::cdr)
                .service(make_call::make_call)
                .service(calls::list_calls)
                .service(calls::get_call)
                .service(calls::hang_up)
                .service(media::media)
                .service(media::media_head)
                .service(keys::list_keys)
                .service(keys::create_key)
                .service(keys::revoke_key)
                .service(keys::rotate_links)
                .service(audit::audit)
                .service(integrations::list_integrations)
                .service(integrations::integration)
                .service(integrations::restart_integration)
                .service(integrations::pause_integration)
                .service(integrations::resume_integration),
        );
}
