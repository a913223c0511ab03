//! Calls by path, with bytes instead of messages and with whatever `authorization` values.

use tonic::client::Grpc;
use tonic::{Request, Status};

use crate::support::{Bytes, Channel, reason};

/// The reason of a call's refusal, or `OK`.
pub async fn call(channel: &Channel, path: &'static str, message: Vec<u8>, authorization: &[&str]) -> String {
    let mut request = Request::new(message);
    for value in authorization {
        request.metadata_mut().append("authorization", value.parse().unwrap());
    }
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    match client.unary(request, path.parse().unwrap(), Bytes).await {
        Ok(_) => "OK".to_owned(),
        Err(status) => reason(Err::<(), Status>(status)),
    }
}
