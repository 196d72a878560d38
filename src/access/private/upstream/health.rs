//! Active health checks: one task per endpoint for all workers, one mark per endpoint that all workers read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use http::{Request, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Upstream, connect};
use crate::access::private::body::Outgoing;
use crate::access::private::config::HealthCheck;

/// The mark of one endpoint. In service until a check says otherwise.
#[derive(Debug, Default)]
pub(super) struct EndpointHealth {
    down: AtomicBool,
}

impl EndpointHealth {
    pub(super) fn is_up(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }
}

/// Starts the checks of one app, if it has any, on the current runtime. A check ends with its task or its upstream.
pub(in crate::access::private) fn check_health(upstream: &Arc<Upstream>, checks: &mut JoinSet<()>) {
    let Some(check) = &upstream.config.health else { return };
    for index in 0..upstream.endpoints.len() {
        checks.spawn(run(Arc::downgrade(upstream), index, check.clone()));
    }
}

async fn run(upstream: Weak<Upstream>, index: usize, check: HealthCheck) {
    let mut every = interval(check.interval);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut good, mut bad) = (0u32, 0u32);
    loop {
        every.tick().await;
        let Some(upstream) = upstream.upgrade() else { return };
        let Some(endpoint) = upstream.endpoints.get(index) else { return };
        let answered = timeout(check.timeout, probe(&upstream, index, &check.path)).await.unwrap_or(false);
        if answered {
            (good, bad) = (good.saturating_add(1), 0);
        } else {
            (good, bad) = (0, bad.saturating_add(1));
        }
        let down = !endpoint.health.is_up();
        if down && good >= check.healthy_after.max(1) {
            endpoint.health.down.store(false, Ordering::Relaxed);
            tracing::info!(endpoint = %endpoint.authority, "upstream instance is back in service");
        } else if !down && bad >= check.unhealthy_after.max(1) {
            endpoint.health.down.store(true, Ordering::Relaxed);
            tracing::warn!(endpoint = %endpoint.authority, "upstream instance is out of service");
        }
    }
}

/// One question on a connection of its own; 2xx and 3xx are good answers.
async fn probe(upstream: &Upstream, index: usize, path: &str) -> bool {
    let Some(endpoint) = upstream.endpoints.get(index) else { return false };
    let Ok(dialled) = connect::dial(upstream, endpoint, &connect::Names::default()).await else { return false };
    let request = Request::get(path)
        .header(http::header::HOST, endpoint.host_header.clone())
        .header(http::header::USER_AGENT, "portcullis-health")
        .body(Outgoing::empty());
    let Ok(mut request) = request else { return false };
    let status = match dialled {
        connect::Dialled::Http1(mut connection) => {
            let answer = connection.send.send_request(request).await.map(|response| response.status());
            connection.task.abort();
            answer
        }
        connect::Dialled::Http2(mut send, task) => {
            let uri = http::Uri::builder()
                .scheme(if upstream.tls.is_some() { "https" } else { "http" })
                .authority(endpoint.authority.clone())
                .path_and_query(path)
                .build();
            let Ok(uri) = uri else { return false };
            *request.uri_mut() = uri;
            request.headers_mut().remove(http::header::HOST);
            let answer = send.send_request(request).await.map(|response| response.status());
            task.abort();
            answer
        }
    };
    status.is_ok_and(|status: StatusCode| status.is_success() || status.is_redirection())
}
