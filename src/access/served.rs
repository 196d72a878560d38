//! What is noted about one request while it is served: for the log line, the counters and the response's request id.

use std::net::IpAddr;
use std::sync::Arc;

use http::Response;
use http::header::HeaderName;
use http::request::Parts;

use super::gate::Permit;
use super::private::App;
use super::refusal::Refusal;
use crate::audit::{AuditLog, DecisionEvent};
use crate::edge::Body;
use crate::facts::{SharedClock, Tick};
use crate::telemetry::{RequestId, WorkerMetrics};
