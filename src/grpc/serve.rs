//! Runs the gRPC server from a bound listener to its last connection: readiness, reflection, and the order of a shutdown.

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::Builder as Reflection;

pub use super::accept::CUT_TIMEOUT;
use super::accept::Connections;
use super::call::Calls;
use super::door::Door;
use super::health::Health;
use super::serve_settings::ServeSettings;
use super::sizes::Size;
use super::tls::Tls;
use super::watches::Watches;
use crate::pb;
use crate::tasks::Tasks;

/// Serves until the tasks stop, goes on for `endpoint_delay`, closes the listener, sends GOAWAY and waits for open calls, at
/// most `drain_timeout`. What is returned ends with the last connection.
///
/// `health` is served with the rest; what it says is its owner's.
///
/// # Errors
///
/// A descriptor set or TLS files that cannot be read.
pub fn serve(
    listener: TcpListener,
    door: Door,
    routes: Routes,
    watches: Watches,
    settings: &ServeSettings,
    health: Health,
    tasks: &Tasks,
) -> io::Result<JoinHandle<()>> {
    let (stop, draining) = (tasks.stop().clone(), health.draining());
    tasks.watch("streams", watches.look_after(draining.clone()));
    let mut routes = routes
        .add_service(HealthServer::new(health).max_decoding_message_size(Size::Short.most()).accept_compressed(Gzip));
    if settings.reflection {
        routes = with_reflection(routes).map_err(io::Error::other)?;
    }
    let calls = Calls::new(door, routes, settings);
    let tls = settings.tls.clone().map(Tls::new).transpose().map_err(io::Error::other)?.map(Arc::new);
    let connections = Arc::new(Connections::new(calls, tls.clone(), settings, draining.clone()));

    let ServeSettings { endpoint_delay, drain_timeout, tls_reload_interval, .. } = *settings;
    if let Some(tls) = tls {
        let draining = draining.clone();
        tasks.watch("TLS files", async move {
            draining.run_until_cancelled(tls.follow(tls_reload_interval)).await;
        });
    }
    let accepts = Arc::clone(&connections);
    let accepting = tasks.watch("accept loop", async move { accepts.accept(listener).await });
    Ok(tasks.watch("shutdown", async move {
        stop.cancelled().await;
        sleep(endpoint_delay).await;
        draining.cancel();
        accepting.await.ok();
        connections.drain(drain_timeout).await;
    }))
}

/// Both versions: newer tools ask for v1, older ones only for v1alpha.
fn with_reflection(routes: Routes) -> Result<Routes, tonic_reflection::server::Error> {
    let builder = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder().build_v1()?.max_decoding_message_size(Size::Short.most()).accept_compressed(Gzip);
    let v1alpha = builder().build_v1alpha()?.max_decoding_message_size(Size::Short.most()).accept_compressed(Gzip);
    Ok(routes.add_service(v1).add_service(v1alpha))
}
