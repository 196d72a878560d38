//! The templates of the console's pages, and the words in them. What comes from outside is escaped; `body` and `HEAD`
//! alone are not, because another template made the one and the other is fixed.

use askama::Template;

use crate::admin::v1::{AppVerdict, Iam, PersonLine, SyncLine, Tenant};

/// Templates write to memory and cannot fail; should one do so, nothing half-made is shown.
pub(super) fn render(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}

/// One line of a tenant's table.
pub(super) struct Row<'a> {
    /// The name the script finds it by again.
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    pub(super) about: &'static str,
    pub(super) status: &'a str,
    pub(super) tone: &'static str,
    pub(super) reason: Option<&'a str>,
    pub(super) fix: Option<&'a str>,
    pub(super) link: Option<&'a str>,
    pub(super) request: Option<&'a str>,
}

impl Row<'_> {
    /// Whether somebody can be sent to the provider for it.
    fn can_consent(&self) -> bool {
        matches!(self.key, "directory" | "risk") && self.status != "granted"
    }

    fn is_switch(&self) -> bool {
        self.key == "data_upload"
    }

    fn is_on(&self) -> bool {
        self.status == "granted"
    }
}

/// A word of ours, readable.
fn plain(word: &str) -> String {
    word.replace('_', " ")
}

/// How a phase reads.
fn phase(line: &SyncLine) -> String {
    match line.phase {
        "never" => "never read".to_owned(),
        "waiting" => "waits for its time".to_owned(),
        "full_running" => "full reading runs".to_owned(),
        "full_done" => "read in full".to_owned(),
        "update_running" => "reads changes".to_owned(),
        "update_done" => "up to date".to_owned(),
        other => plain(other),
    }
}

/// A moment, roughly, so that the page only changes when something happens.
fn ago(now: &u64, at: &u64) -> String {
    if at <= now {
        let past = now - at;
        return if past < 60 { "just now".to_owned() } else { format!("{} ago", rough(past)) };
    }
    let future = at - now;
    if future < 60 { "in a moment".to_owned() } else { format!("in {}", rough(future)) }
}

fn rough(seconds: u64) -> String {
    match seconds {
        0..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// What stands in the head of every page.
const HEAD: &str = r#"<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/console.css">"#;

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<!doctype html>
<html lang="en">
<head>
{{ self::HEAD|safe }}
<title>{{ title }} – Portcullis</title>
<script src="/assets/console.js" defer></script>
</head>
<body data-part="{{ part }}">
<a class="skip" href="#main">To the content</a>
<header><svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M4 21V10a8 8 0 0 1 16 0v11M9 4v15M15 4v15M12 3v18M4 11h16M4 16h16"/></svg><strong>Portcullis</strong>
<nav aria-label="Console"><a href="/"{% if path == "/" %} aria-current="page"{% endif %}>Identity and access</a><a href="/people"{% if path == "/people" %} aria-current="page"{% endif %}>People at risk</a></nav>
<span class="who">{{ who }}{% if local %} <button type="button" class="link" data-do="sign-out">Sign out</button>{% endif %}</span></header>
<main id="main">
<h1>{{ title }}</h1>
<p id="said" role="status" class="said"></p>
<noscript><p class="banner calm">Without scripts this page can be read and does not refresh itself; the commands beside each line change things.</p></noscript>
<div id="live">{{ body|safe }}</div>
</main>
</body>
</html>
"##
)]
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) who: &'a str,
    pub(super) local: bool,
    pub(super) path: &'a str,
    pub(super) part: &'a str,
    pub(super) body: &'a str,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<!doctype html>
<html lang="en">
<head>
{{ self::HEAD|safe }}
{% if let Some(next) = next %}<meta http-equiv="refresh" content="0;url={{ next }}">
{% endif %}<title>{{ title }} – Portcullis</title>
</head>
<body class="small">
<main>{{ body|safe }}</main>
</body>
</html>
"##
)]
pub(super) struct Small<'a> {
    pub(super) title: &'a str,
    pub(super) next: Option<&'a str>,
    pub(super) body: &'a str,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<section class="provider" aria-label="Identity provider"><p><strong>Microsoft Entra ID</strong> is the one identity provider. <span class="soft">{{ iam.provider.authority }} · client <code>{{ iam.provider.client_id }}</code></span></p></section>
{% for (tenant, rows) in tenants %}<section class="tenant" aria-labelledby="t-{{ tenant.id }}">
<div class="top"><h2 id="t-{{ tenant.id }}">Tenant <code>{{ tenant.id }}</code></h2><p class="badge {% if tenant.complete %}good{% else %}warn{% endif %}">{% if tenant.complete %}complete{% else %}incomplete{% endif %}</p></div>
{% if tenant.risk.line.status != "answers" %}<p class="banner bad" data-key="{{ tenant.id }} feed" data-status="{{ tenant.risk.line.status }}"><strong>Risk is not known here.</strong> {% if let Some(reason) = tenant.risk.line.reason %}{{ reason }} {% endif %}{% if let Some(fix) = tenant.risk.line.fix %}{{ fix.text }} {% endif %}Rules about risk answer as configured for risk that is not known, never as “no risk”.</p>
{% else %}<p class="soft risk" data-key="{{ tenant.id }} feed" data-status="answers">Risk answers{% if let Some(at) = tenant.risk.confirmed %}, last confirmed {{ self::ago(iam.now, at) }}{% endif %}.</p>
{% endif %}<table>
<caption class="hidden">Permissions</caption>
<thead><tr><th scope="col">Permission</th><th scope="col">Status</th><th scope="col">Why, and what mends it</th><th scope="col"><span class="hidden">Action</span></th></tr></thead>
<tbody>{% for row in rows %}<tr data-key="{{ tenant.id }} {{ row.key }}" data-status="{{ row.status }}" data-label="{{ row.label }}">
<th scope="row">{{ row.label }}<small>{{ row.about }}</small></th>
<td><span class="badge {{ row.tone }}">{{ self::plain(row.status) }}</span></td>
<td>{% if let Some(reason) = row.reason %}{{ reason }}{% endif %}{% if let Some(fix) = row.fix %} <span class="soft">{{ fix }}{% if let Some(link) = row.link %} <a href="{{ link }}" target="_blank" rel="noopener noreferrer">Microsoft's page</a>{% endif %}</span>{% endif %}{% if let Some(request) = row.request %}<code class="request">{{ request }}</code>{% endif %}</td>
<td class="act">{% if row.can_consent() %}<button type="button" data-do="consent" data-tenant="{{ tenant.id }}" data-gate="{{ row.key }}" aria-label="Grant {{ row.label }}, opens a new tab">Grant permission</button>{% endif %}{% if row.is_switch() %}<button type="button" class="switch" role="switch" aria-checked="{{ row.is_on() }}" data-do="upload" data-tenant="{{ tenant.id }}" aria-label="Data upload"><span aria-hidden="true"></span></button>{% endif %}</td>
</tr>{% endfor %}</tbody>
</table>
{% if !tenant.syncs.is_empty() %}<table class="syncs">
<caption class="hidden">Readings</caption>
<thead><tr><th scope="col">Reading</th><th scope="col">Phase</th><th scope="col">Known</th><th scope="col">Brought</th><th scope="col">Last</th><th scope="col">Next</th></tr></thead>
<tbody>{% for sync in tenant.syncs %}<tr data-key="{{ tenant.id }} sync {{ sync.kind }}" data-status="{% if sync.error.is_some() %}failed{% else %}works{% endif %}" data-label="Reading {{ sync.kind }}">
<th scope="row">{{ sync.kind }}</th><td data-name="Phase">{{ self::phase(sync) }}{% if let Some(error) = sync.error %}<small class="error">{{ error }}</small>{% endif %}</td><td data-name="Known" class="number">{{ sync.items }}</td><td data-name="Brought" class="number">{{ sync.read }}</td><td data-name="Last">{% if let Some(at) = sync.finished %}{{ self::ago(iam.now, at) }}{% else %}–{% endif %}</td><td data-name="Next">{% if let Some(at) = sync.next %}{{ self::ago(iam.now, at) }}{% else %}–{% endif %}</td>
</tr>{% endfor %}</tbody>
</table>
{% endif %}{% if !tenant.gates.is_empty() %}<div class="actions"><button type="button" class="plain" data-do="sync" data-tenant="{{ tenant.id }}">Read now</button><button type="button" class="plain" data-do="check" data-tenant="{{ tenant.id }}">Check permissions</button></div>{% endif %}
</section>
{% endfor %}"##
)]
pub(super) struct Overview<'a> {
    pub(super) iam: &'a Iam,
    pub(super) tenants: Vec<(&'a Tenant, Vec<Row<'a>>)>,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"{% for tenant in blind %}<p class="banner bad"><strong>This list leaves out tenant <code>{{ tenant.id }}</code>.</strong> {% if let Some(reason) = tenant.risk.line.reason %}{{ reason }}{% endif %}</p>{% endfor %}
{% if people.is_empty() %}<p class="empty">{% if blind.is_empty() %}Nobody is at risk.{% else %}Nobody is known to be at risk.{% endif %}</p>{% else %}<table class="people">
<caption class="hidden">People at risk, the highest first</caption>
<thead><tr><th scope="col">Person</th><th scope="col">Risk</th><th scope="col">Seen by the provider</th><th scope="col">Answered now</th></tr></thead>
<tbody>{% for (line, verdicts) in people.iter() %}<tr data-key="{{ line.user }}">
<th scope="row">{{ line.name }}<small>{{ line.upn }}</small><small>account {{ line.account }}</small></th>
{% if let Some(risk) = line.risk %}<td data-name="Risk"><span class="badge {{ self::level_tone(risk.level) }}">{{ risk.level }}</span><small>{{ self::plain(risk.state) }}, {{ self::ago(now, risk.updated) }}</small></td><td data-name="Seen">{% if risk.detections.is_empty() %}–{% else %}{{ risk.detections.join(", ") }}{% endif %}</td>{% else %}<td data-name="Risk">–</td><td data-name="Seen">–</td>{% endif %}
<td data-name="Answered now"><ul class="verdicts">{% for verdict in verdicts %}<li><span class="badge {{ self::verdict_tone(verdict.verdict) }}">{{ verdict.verdict }}</span> {{ verdict.app }} <small>{{ self::plain(verdict.reason) }}{% if let Some(rule) = verdict.rule %}: {{ rule }}{% endif %}</small></li>{% endfor %}</ul></td>
</tr>{% endfor %}</tbody>
</table>{% endif %}"##
)]
pub(super) struct People<'a> {
    pub(super) blind: Vec<&'a Tenant>,
    pub(super) people: &'a [(PersonLine, Vec<AppVerdict>)],
    pub(super) now: u64,
}

fn level_tone(level: &str) -> &'static str {
    match level {
        "high" => "bad",
        "low" => "calm",
        _ => "warn",
    }
}

fn verdict_tone(verdict: &str) -> &'static str {
    match verdict {
        "allow" | "monitor" => "good",
        "warn" | "challenge" => "warn",
        _ => "bad",
    }
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<h1>Sign in to the console</h1>
{% if here %}<p>Type in what stands in the file <code>admin-token</code> of the gateway's state folder. Administrators of your organisation use the console's own address instead.</p>
<form method="post" action="/sign-in"><label for="token">Admin token</label><input id="token" name="token" type="password" autocomplete="off" required autofocus{% if refused %} aria-invalid="true" aria-describedby="wrong"{% endif %}>
{% if refused %}<p id="wrong" class="wrong" role="alert">This is not the token.</p>{% endif %}<button type="submit">Sign in</button></form>
{% else %}<p>The token is taken on the gateway's own machine only. Use the console's address, or a tunnel to this listener.</p>{% endif %}"##
)]
pub(super) struct SignIn {
    pub(super) here: bool,
    pub(super) refused: bool,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<h1>Looking at what was granted</h1><p class="soft">One moment. If nothing happens, <a href="{{ next }}">go on</a>.</p>"##
)]
pub(super) struct GoingOn<'a> {
    pub(super) next: &'a str,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<p class="badge {{ tone }}">Consent</p><h1 id="outcome">{{ title }}</h1><p>{{ text }}</p><p><a href="/">To the console</a></p>"##
)]
pub(super) struct Told<'a> {
    pub(super) tone: &'static str,
    pub(super) title: &'static str,
    pub(super) text: &'a str,
}
