//! Calls by path, with bytes instead of messages and with whatever `authorization` values.

use invitations::domain::Method;
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
    let outcome = if path == Method::WatchEvents.path() {
        // its first message says that it is open
        match client.server_streaming(request, path.parse().unwrap(), Bytes).await {
            Ok(stream) => stream.into_inner().message().await.map(drop),
            Err(status) => Err(status),
        }
    } else {
        client.unary(request, path.parse().unwrap(), Bytes).await.map(drop)
    };
    match outcome {
        Ok(()) => "OK".to_owned(),
        Err(status) => reason(Err::<(), Status>(status)),
    }
}
