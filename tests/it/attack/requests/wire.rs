//! HTTP/2 as gRPC uses it, and as it does not: what is sent is sent as it is.

use std::fmt;
use std::net::SocketAddr;

use h2::client::SendRequest;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request as Head, Uri};
use prost::bytes::Bytes;
use tokio::net::TcpStream;
use tonic::Status;

use crate::support::Answer;

/// One call.
pub struct Request {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    /// Messages, each behind its prefix.
    pub body: Vec<u8>,
    /// How much of the body one DATA frame holds.
    pub frame: usize,
    pub trailers: Option<HeaderMap>,
    /// Whether the caller is gone before the end of the request.
    pub leaves: bool,
}

impl Request {
    /// As a gRPC client makes it.
    pub fn new(path: &str, token: Option<&str>, message: &[u8]) -> Self {
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        let headers = headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::from_iter(headers);
        if let Some(token) = token {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let (method, body) = (Method::POST, prefixed(0, message));
        Self { method, path: path.to_owned(), headers, body, frame: 16 * 1024, trailers: None, leaves: false }
    }

    fn head(&self) -> Head<()> {
        let mut head = Head::new(());
        *head.method_mut() = self.method.clone();
        *head.uri_mut() = format!("http://service{}", self.path).parse().unwrap_or_else(|_| Uri::from_static("/"));
        *head.headers_mut() = self.headers.clone();
        head
    }
}

/// A message as the body of a request holds it.
pub fn prefixed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, message].concat()
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, headers, body, frame, trailers, leaves } = self;
        write!(f, "{method} {path} {headers:?} body ")?;
        body.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, " in frames of {frame}, trailers {trailers:?}, leaves: {leaves}")
    }
}

/// To a server.
pub struct Connection {
    server: SocketAddr,
    requests: SendRequest<Bytes>,
}

impl Connection {
    pub async fn open(server: SocketAddr) -> Self {
        let socket = TcpStream::connect(server).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (requests, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::spawn(connection);
        Self { server, requests }
    }

    /// How the call ended; UNKNOWN where the answer is none of gRPC, as for a gRPC client.
    pub async fn call(&self, request: &Request) -> Status {
        let answer = match self.answer(request).await {
            // h2 ends a connection after too many small frames that nobody had to read, and calls beside them are lost.
            // A request that is to blame by itself ends the next connection, too.
            Err(_) => Self::open(self.server).await.answer(request).await,
            answer => answer,
        };
        answer.unwrap_or_else(|error| Status::unknown(format!("no answer: {error}")))
    }

    async fn answer(&self, request: &Request) -> Result<Status, h2::Error> {
        let (answer, mut sending) = self.requests.clone().ready().await?.send_request(request.head(), false)?;
        // what cannot be sent was answered before it was read
        let last = request.body.chunks(request.frame).count();
        for (number, piece) in request.body.chunks(request.frame).enumerate() {
            let end = number + 1 == last && request.trailers.is_none() && !request.leaves;
            sending.send_data(Bytes::copy_from_slice(piece), end).ok();
        }
        if request.leaves {
            sending.send_reset(h2::Reason::CANCEL);
            return Ok(Status::cancelled("the caller has left"));
        }
        match &request.trailers {
            Some(trailers) => sending.send_trailers(trailers.clone()).ok(),
            None if last == 0 => sending.send_data(Bytes::new(), true).ok(),
            None => None,
        };
        let (head, mut body) = answer.await?.into_parts();
        let mut kept = Answer::begin(&head.headers);
        if let Some(status) = Status::from_header_map(&head.headers) {
            return Ok(status);
        }
        while let Some(piece) = body.data().await.transpose()? {
            body.flow_control().release_capacity(piece.len())?;
            kept.add_data(&piece);
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        kept.add_headers(&trailers);
        let status = Status::from_header_map(&trailers);
        Ok(status.unwrap_or_else(|| Status::unknown(format!("HTTP {}", head.status))))
    }
}
