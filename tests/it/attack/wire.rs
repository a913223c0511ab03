//! Calls whose bytes nobody has looked at.

use tonic::{Request, Status};

use crate::support::{Bytes, Channel};

/// One call of a method, by the holder of a token or by nobody.
pub async fn call(channel: &Channel, path: &str, token: Option<&str>, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let path = path.parse().unwrap();
    Ok(client.unary(request, path, Bytes).await?.into_inner())
}
