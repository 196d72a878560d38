//! Identity and access as a whole: the one provider, and each tenant with its permissions, readings and sign-in.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::routing::{get, post};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Route;
use super::tenants::bad_body;
use crate::admin::change::Change;
use crate::admin::guard::Ends;
use crate::admin::problem::Problem;
use crate::admin::who::Admin;
use crate::admin::{ProviderView, Services, SessionControl, View};
use crate::directory::{Gate, GateStatus, Progress, TenantStatus};
use crate::facts::{RiskFeed, RiskSource, TenantId};

pub(super) fn routes<S: SessionControl>() -> Vec<Route<S>> {
    vec![
        Route::new::<Iam>("get", "/api/v1/iam", "The provider and every tenant, as they stand.", get(iam::<S>)),
        Route::new::<Provider>(
            "post",
            "/api/v1/iam/providers",
            "Adds an identity provider. There is exactly one, so this always says which one is active.",
            post(add_provider::<S>),
        )
        .takes::<NewProvider>()
        .may_say(&[(400, "bad_body"), (409, "provider_active")]),
    ]
}

/// Everything of the page "Identity and access".
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::admin) struct Iam {
    /// The time at the gateway, in seconds since 1970.
    pub(in crate::admin) now: u64,
    /// The configuration's generation.
    pub(in crate::admin) generation: u64,
    /// The one provider.
    pub(in crate::admin) provider: Provider,
    /// Every tenant that signs in here or is read.
    pub(in crate::admin) tenants: Vec<Tenant>,
}

/// The identity provider.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::admin) struct Provider {
    /// Always `entra`.
    pub(in crate::admin) kind: &'static str,
    /// Login address of the cloud.
    pub(in crate::admin) authority: String,
    /// Application (client) id.
    pub(in crate::admin) client_id: String,
    /// Whose people may sign in.
    pub(in crate::admin) tenants: Vec<String>,
    /// Whether its signing keys are known, so that signing in works.
    pub(in crate::admin) ready: bool,
}

impl Provider {
    fn of(view: &ProviderView) -> Self {
        Self {
            kind: "entra",
            authority: view.authority.clone(),
            client_id: view.client_id.clone(),
            tenants: view.tenants.iter().map(ToString::to_string).collect(),
            ready: view.ready,
        }
    }
}

/// A further provider, which is never taken.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewProvider {
    /// What kind, such as `okta`.
    kind: String,
}

/// One tenant.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::admin) struct Tenant {
    /// Tenant id.
    pub(in crate::admin) id: String,
    /// Whether everything it is configured for works: sign-in, and each permission.
    pub(in crate::admin) complete: bool,
    /// Signing in with it.
    pub(in crate::admin) sso: Line,
    /// Its permissions, in a fixed order; empty when the gateway reads nothing of it.
    pub(in crate::admin) gates: Vec<GateLine>,
    /// Where the risk of its accounts comes from.
    pub(in crate::admin) risk: RiskLine,
    /// The readings.
    pub(in crate::admin) syncs: Vec<SyncLine>,
}

/// How something stands, why, and what mends it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::admin) struct Line {
    /// A word from a closed list.
    pub(in crate::admin) status: &'static str,
    /// Why it is not as it should be, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) reason: Option<String>,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) fix: Option<Fix>,
}

/// What mends something.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::admin) struct Fix {
    /// In words.
    pub(in crate::admin) text: String,
    /// Where to do it or read about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) link: Option<String>,
    /// The request of this API that does it or begins it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) request: Option<String>,
}

/// One permission.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::admin) struct GateLine {
    /// `directory`, `risk` or `data_upload`.
    pub(in crate::admin) gate: &'static str,
    /// Names of the permissions that are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::admin) missing: Vec<String>,
    /// `granted`, `never_granted`, `partial`, `error` or `revoked`.
    #[serde(flatten)]
    pub(in crate::admin) line: Line,
}

/// Where risk comes from.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::admin) struct RiskLine {
    /// When what is known was last confirmed, in seconds since 1970; absent for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) confirmed: Option<u64>,
    /// `answers`, or why the risk cannot be known.
    #[serde(flatten)]
    pub(in crate::admin) line: Line,
}

/// One reading.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::admin) struct SyncLine {
    /// `users`, `groups` or `risk`.
    pub(in crate::admin) kind: &'static str,
    /// How far it is.
    pub(in crate::admin) phase: &'static str,
    /// Items known now.
    pub(in crate::admin) items: u64,
    /// Items that the last or current reading brought.
    pub(in crate::admin) read: u64,
    /// When the current or last reading began, in seconds since 1970.
    pub(in crate::admin) started: Option<u64>,
    /// When the last one ended well.
    pub(in crate::admin) finished: Option<u64>,
    /// When the next one begins.
    pub(in crate::admin) next: Option<u64>,
    /// Why the last try failed.
    pub(in crate::admin) error: Option<String>,
}

async fn iam<S: SessionControl>(State(services): State<Services<S>>) -> Json<Iam> {
    Json(iam_now(&services))
}

/// How everything stands now.
pub(in crate::admin) fn iam_now<S>(services: &Services<S>) -> Iam {
    let view = (services.look)();
    let read = services.tenants.status();
    let only_sign_in = view.provider.tenants.iter().filter(|id| !read.iter().any(|status| status.tenant == **id));
    let tenants = only_sign_in.map(|id| unread(*id, &view)).chain(read.iter().map(|status| tenant(status, &view)));
    Iam {
        now: services.clock.now().0,
        generation: view.generation,
        provider: Provider::of(&view.provider),
        tenants: tenants.collect(),
    }
}

async fn add_provider<S: SessionControl>(
    State(services): State<Services<S>>,
    Extension(ends): Extension<Ends>,
    Extension(by): Extension<Admin>,
    body: Result<Json<NewProvider>, JsonRejection>,
) -> Problem {
    let asked = match body {
        Ok(Json(asked)) => asked,
        Err(error) => return bad_body(&error),
    };
    // As much of it as a name can be: it goes into the decision log.
    let target: String = asked.kind.chars().take(LONGEST_KIND).collect();
    let active = (services.look)().provider;
    Change { services: &services, ends, by: &by, action: "provider_add", target: &target }.record("refused", 0);
    let tenants: Vec<_> = active.tenants.iter().map(ToString::to_string).collect();
    Problem::conflict("provider_active")
        .says(format!(
            "exactly one identity provider is active: entra at {}, client {}, tenants {}",
            active.authority,
            active.client_id,
            tenants.join(", ")
        ))
        .fix("to switch, change [entra] in the configuration and POST /api/v1/reload; that ends the old provider's sessions")
}

/// A tenant that only signs in here.
pub(super) fn unread(id: TenantId, view: &View) -> Tenant {
    let sso = sso(id, &view.provider);
    let feed = risk(RiskFeed::NONE, id, false);
    Tenant {
        id: id.to_string(),
        complete: sso.status == "active",
        sso,
        gates: Vec::new(),
        risk: feed,
        syncs: Vec::new(),
    }
}

/// A tenant that is read.
pub(super) fn tenant(status: &TenantStatus, view: &View) -> Tenant {
    let id = status.tenant;
    let with_cures = status.gates.iter().zip(&status.cures);
    let gates: Vec<_> = with_cures.map(|((gate, how), cure)| gate_line(id, *gate, how, cure.as_deref())).collect();
    let sso = sso(id, &view.provider);
    let complete = sso.status != "not_ready" && gates.iter().all(|gate| gate.line.status == "granted");
    let syncs = status.progress.iter().map(sync_line).collect();
    let may_read = status.gates.iter().any(|(gate, how)| *gate == Gate::Risk && how.is_ok());
    Tenant { id: id.to_string(), complete, sso, gates, risk: risk(status.feed, id, may_read), syncs }
}

fn sso(id: TenantId, provider: &ProviderView) -> Line {
    let line = |status, reason: Option<&str>, fix: Option<&str>| Line {
        status,
        reason: reason.map(str::to_owned),
        fix: fix.map(|text| Fix { text: text.to_owned(), link: None, request: None }),
    };
    if !provider.tenants.contains(&id) {
        let reason = "Its people cannot sign in here; its data may be read all the same.";
        return line("off", Some(reason), Some("Add the tenant to entra.tenants in the configuration and reload."));
    }
    if provider.ready {
        return line("active", None, None);
    }
    let fix = "Check that this gateway reaches the login address: portcullis doctor.";
    line("not_ready", Some("The provider's signing keys are not known yet, so nobody can sign in."), Some(fix))
}

fn gate_line(id: TenantId, gate: Gate, how: &GateStatus, cure: Option<&str>) -> GateLine {
    let missing = if let GateStatus::Partial { missing } = how { missing.clone() } else { Vec::new() };
    let reason = how.reason(gate).map(|reason| sentence(&reason));
    let fix = (!how.is_ok()).then(|| fix(id, gate, cure));
    GateLine { gate: gate.word(), missing, line: Line { status: how.word(), reason, fix } }
}

/// What mends a permission: what the directory says of it, and the request of this API that begins it.
fn fix(id: TenantId, gate: Gate, cure: Option<&str>) -> Fix {
    let (text, link) = match (cure, gate) {
        (Some(cure), _) => match cure.find("https://").map(|at| cure.split_at(at)) {
            Some(("", link)) => ("See", Some(link.to_owned())),
            Some((text, link)) => (text.trim_end(), Some(link.to_owned())),
            None => (cure, None),
        },
        (None, Gate::DataUpload) => ("turn data upload on, once risk is granted", None),
        (None, _) => ("grant it as an administrator of the tenant; the registration must list the permission", None),
    };
    let request = match gate {
        Gate::DataUpload => format!("PUT /api/v1/tenants/{id}/data-upload {{\"on\":true}}"),
        _ => format!("POST /api/v1/tenants/{id}/consent {{\"gate\":\"{}\"}}", gate.word()),
    };
    Fix { text: sentence(text), link, request: Some(request) }
}

/// With a capital and a full stop, unless it has one, a link follows or it is a command.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    if text.starts_with("portcullis ") {
        return format!("Run {text}.");
    }
    let stop = if text.ends_with(" at") || text.ends_with('.') || text == "See" { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

fn risk(feed: RiskFeed, id: TenantId, may_read: bool) -> RiskLine {
    let confirmed = (feed.confirmed.0 != 0).then_some(feed.confirmed.0);
    let consent = || Some(format!("POST /api/v1/tenants/{id}/consent {{\"gate\":\"risk\"}}"));
    let (reason, text, request) = match feed.source {
        RiskSource::Answers => {
            return RiskLine { confirmed, line: Line { status: "answers", reason: None, fix: None } };
        }
        RiskSource::NeverSynced => {
            let request = Some(format!("POST /api/v1/tenants/{id}/sync"));
            ("The risk of its accounts has not been read yet.", "Wait for the first reading, or begin it now.", request)
        }
        RiskSource::NoPermission if may_read => {
            let request = Some(format!("POST /api/v1/tenants/{id}/sync"));
            ("The permission is there again.", "Wait for the next reading, or begin it now.", request)
        }
        RiskSource::NoPermission => ("The permission to read risk is missing.", "Grant it.", consent()),
        RiskSource::NoLicence => {
            ("The tenant has no licence for it.", "Microsoft Entra ID P2 is needed to read risky accounts.", None)
        }
        RiskSource::NotInCloud => ("This cloud offers no risk interface.", "Rules must do without it here.", None),
        RiskSource::UploadOff => {
            let request = Some(format!("PUT /api/v1/tenants/{id}/data-upload {{\"on\":true}}"));
            ("Data upload is off.", "Turn it on.", request)
        }
        RiskSource::NotConfigured => {
            ("This gateway reads no risk of this tenant.", "Configure the directory, see the README.", None)
        }
    };
    let fix = Fix { text: text.to_owned(), link: None, request };
    let line = Line { status: feed.source.word(), reason: Some(reason.to_owned()), fix: Some(fix) };
    RiskLine { confirmed, line }
}

fn sync_line(progress: &Progress) -> SyncLine {
    SyncLine {
        kind: progress.kind.word(),
        phase: progress.phase.word(),
        items: progress.items,
        read: progress.read,
        started: progress.started.map(|at| at.0),
        finished: progress.finished.map(|at| at.0),
        next: progress.next.map(|at| at.0),
        error: progress.error.clone(),
    }
}

/// Of a kind of provider that somebody asks for.
const LONGEST_KIND: usize = 64;
