//! Asks a running service how it is: for containers without a shell.

mod tls;

use std::time::Duration;

use tokio::time::timeout;
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

pub use tls::ProbeTls;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Succeeds only when the service at `address` (`host:port`) says SERVING; an error is one line.
pub async fn serving(address: &str, service: String, tls: Option<ProbeTls>) -> Result<(), String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|_| format!("--address must be a host with a port, such as 127.0.0.1:50051, but is {address:?}"))?;
    let connector = tls.map(|tls| tls.connector(address)).transpose()?;
    let check = async {
        let channel = match connector {
            None => endpoint.connect().await.map_err(|_| format!("nothing answers at {address}"))?,
            Some(connector) => {
                let channel = endpoint.connect_with_connector(connector).await;
                channel.map_err(|error| format!("nothing answers at {address} with TLS: {}", tls::cause(&error)))?
            }
        };
        let answer = HealthClient::new(channel).check(HealthCheckRequest { service }).await;
        match answer.map(|answer| answer.into_inner().status()) {
            Ok(ServingStatus::Serving) => Ok(()),
            Ok(status) => Err(format!("the service says {}", status.as_str_name())),
            Err(status) if status.code() == Code::NotFound => Err("there is no service of that name".to_owned()),
            Err(status) => Err(format!("the health service fails: {}", status.code())),
        }
    };
    timeout(TIMEOUT, check).await.unwrap_or_else(|_| Err(format!("{address} does not answer within 2 s")))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic::transport::Server;
    use tonic_health::{ServingStatus::NotServing, server::health_reporter};

    use super::*;

    /// Asks again where the machine has stood still for as long as a probe waits.
    async fn answer(address: &str, service: &str) -> Result<(), String> {
        for _ in 1..10 {
            match serving(address, service.to_owned(), None).await {
                Err(error) if error.ends_with(" does not answer within 2 s") => {}
                answer => return answer,
            }
        }
        serving(address, service.to_owned(), None).await
    }

    #[tokio::test]
    async fn only_a_serving_service_passes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (reporter, health) = health_reporter();
        reporter.set_service_status("draining", NotServing).await;
        tokio::spawn(Server::builder().add_service(health).serve_with_incoming(TcpListenerStream::new(listener)));

        assert_eq!(answer(&address, "").await, Ok(()));
        assert_eq!(answer(&address, "draining").await, Err("the service says NOT_SERVING".to_owned()));
        assert_eq!(answer(&address, "other").await, Err("there is no service of that name".to_owned()));
        assert!(answer("not an address", "").await.is_err_and(|error| error.starts_with("--address must")));
    }

    #[tokio::test]
    async fn a_service_that_does_not_answer_fails_after_2_seconds() {
        // connections wait in the backlog
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(serving(&address, String::new(), None).await, Err(format!("{address} does not answer within 2 s")));
    }
}
