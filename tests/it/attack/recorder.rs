//! A proxy that keeps every answer of the server as the client gets it: headers, messages and trailers, decoded.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use prost::bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};

/// What the server has answered so far.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<u8>>>);

impl Recorder {
    pub fn answers(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    /// Starts a proxy in front of the server; it ends with the runtime.
    pub async fn start(server: SocketAddr) -> (Self, SocketAddr) {
        let recorder = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = recorder.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(kept.clone().connection(socket, server));
            }
        });
        (recorder, address)
    }

    async fn connection(self, client: TcpStream, server: SocketAddr) {
        let server = TcpStream::connect(server).await.unwrap();
        let (requests, ended) = h2::client::handshake(server).await.unwrap();
        tokio::spawn(ended);
        let mut calls = h2::server::handshake(client).await.unwrap();
        while let Some(Ok((request, answer))) = calls.accept().await {
            tokio::spawn(self.clone().call(request, answer, requests.clone()));
        }
    }

    /// What breaks off on one side breaks off on the other.
    async fn call(
        self,
        request: http::Request<h2::RecvStream>,
        mut answer: h2::server::SendResponse<Bytes>,
        requests: h2::client::SendRequest<Bytes>,
    ) -> Option<()> {
        let (mut head, mut body) = request.into_parts();
        head.version = http::Version::HTTP_2;
        let mut requests = requests.ready().await.ok()?;
        let (response, mut upstream) = requests.send_request(http::Request::from_parts(head, ()), false).ok()?;
        while let Some(data) = body.data().await {
            let data = data.ok()?;
            body.flow_control().release_capacity(data.len()).ok()?;
            upstream.send_data(data, false).ok()?;
        }
        upstream.send_data(Bytes::new(), true).ok()?;

        let (head, mut body) = response.await.ok()?.into_parts();
        self.keep(format!("{:?}", head.headers).as_bytes());
        let ends = body.is_end_stream();
        let mut downstream = answer.send_response(http::Response::from_parts(head, ()), ends).ok()?;
        if ends {
            return Some(());
        }
        while let Some(data) = body.data().await {
            let data = data.ok()?;
            body.flow_control().release_capacity(data.len()).ok()?;
            self.keep(&data);
            downstream.send_data(data, false).ok()?;
        }
        let trailers = body.trailers().await.ok()?.unwrap_or_default();
        self.keep(format!("{trailers:?}").as_bytes());
        downstream.send_trailers(trailers).ok()
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap();
        kept.extend_from_slice(bytes);
        kept.push(b'\n');
    }
}
