//! PAC's `SqlServicePbxService`.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};

use super::core::Core;
use super::faults::{PacFault, PacOperation};
use super::server::connection_of;
use crate::pac::proto::sql::sql_service_pbx_service_server::SqlServicePbxService;
use crate::pac::proto::sql::{SqlRequest, SqlResponse};

#[derive(Debug)]
pub(super) struct SqlService(pub(super) Arc<Core>);

#[tonic::async_trait]
impl SqlServicePbxService for SqlService {
    async fn execute_sql(&self, request: Request<SqlRequest>) -> Result<Response<SqlResponse>, Status> {
        let connection = connection_of(&request);
        let query = request.into_inner().query;
        let core = Arc::clone(&self.0);
        let work = async move {
            let (result, error) = spawn_blocking(move || core.database.execute(&query))
                .await
                .map_err(|error| Status::internal(error.to_string()))?;
            Ok(SqlResponse { result, error })
        };
        self.0
            .serve(PacOperation::ExecuteSql, connection, wrong, work)
            .await
    }
}

fn wrong(fault: PacFault) -> Option<SqlResponse> {
    let (result, error) = match fault {
        PacFault::ErrorText(error) => ("[]".to_owned(), error),
        PacFault::Result(result) => (result, String::new()),
        PacFault::Hang
        | PacFault::Delay(_)
        | PacFault::Unavailable
        | PacFault::Oversized(_)
        | PacFault::Message(_)
        | PacFault::Body(_)
        | PacFault::DropConnection => return None,
    };
    Some(SqlResponse { result, error })
}
