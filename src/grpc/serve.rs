//! Runs the gRPC server from a bound listener to its last connection: readiness, reflection, and the order of a shutdown.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::Builder as Reflection;

use super::MAX_REQUEST;
use super::accept::Connections;
use super::call::Calls;
use super::health::Health;
use super::serve_settings::ServeSettings;
use super::tls::Tls;
use crate::pb;

/// How often to ask whether the application is ready.
const READINESS_INTERVAL: Duration = Duration::from_millis(1500);

/// Serves until `stop`, then says NOT_SERVING, goes on for `endpoint_delay`, closes the listener, sends GOAWAY and waits
/// for open calls, at most `drain_timeout`. Fails only at the start, on a descriptor set or TLS files that cannot be read.
///
/// `ready` says whether calls can be carried out; health follows it.
pub async fn serve(
    listener: TcpListener,
    routes: Routes,
    settings: ServeSettings,
    ready: impl AsyncFn() -> bool,
    stop: CancellationToken,
) -> io::Result<()> {
    let draining = CancellationToken::new();
    let health = Health::new(draining.clone());
    let mut routes = routes
        .add_service(HealthServer::new(health.clone()).max_decoding_message_size(MAX_REQUEST).accept_compressed(Gzip));
    if settings.reflection {
        routes = with_reflection(routes).map_err(io::Error::other)?;
    }
    let calls = Calls::new(routes, &settings);
    let tls = settings.tls.clone().map(Tls::new).transpose().map_err(io::Error::other)?.map(Arc::new);
    let connections = Arc::new(Connections::new(calls, tls.clone(), &settings, draining.clone()));

    let life = async {
        tokio::select! {
            never = health.follow(READINESS_INTERVAL, ready) => match never {},
            () = stop.cancelled() => {}
        }
        health.set(false);
        sleep(settings.endpoint_delay).await;
        draining.cancel();
    };
    let reload = async {
        if let Some(tls) = &tls {
            draining.run_until_cancelled(tls.follow(settings.tls_reload_interval)).await;
        }
    };
    tokio::join!(life, connections.accept(listener), reload);
    connections.drain(settings.drain_timeout).await;
    Ok(())
}

/// Both versions: newer tools ask for v1, older ones only for v1alpha.
fn with_reflection(routes: Routes) -> Result<Routes, tonic_reflection::server::Error> {
    let builder = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder().build_v1()?.max_decoding_message_size(MAX_REQUEST).accept_compressed(Gzip);
    let v1alpha = builder().build_v1alpha()?.max_decoding_message_size(MAX_REQUEST).accept_compressed(Gzip);
    Ok(routes.add_service(v1).add_service(v1alpha))
}
