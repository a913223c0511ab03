//! A call as bytes, so that one table holds the requests of every RPC, and what is no request at all.

use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::{Request, Status};

use crate::support::{Bytes, Channel};

/// Sends the bytes as they are and does not look at the answer.
pub(super) async fn call(channel: &Channel, path: &str, token: &str, message: &[u8]) -> Result<(), Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(message.to_vec());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let path = PathAndQuery::try_from(path).unwrap();
    client.unary(request, path, Bytes).await.map(drop)
}
