//! The HTML of each page: one frame, one notice for everything that is only told, and a body for what has a form.

use askama::Template;

use super::content::{AppLink, AtRisk, Blocked, KeptPost, KeptWhile, Page, Portal, SignedInAs, Warning};
use super::help::Help;

/// The page as HTML.
pub(super) fn html(page: &Page<'_>, organisation: Option<&str>, help: &Help, request_id: &str) -> String {
    let (body, script) = match page {
        Page::Portal(portal) => (portal_body(portal), None),
        Page::SignOutConfirm { action, csrf, person } => (render(&SignOutBody { action, csrf, person: *person }), None),
        Page::Warning(warning) => (warning_body(page, warning, help, request_id), None),
        Page::AtRisk(risk) => (risk_body(page, risk, help, request_id), None),
        Page::PreservePost(kept) => (keep_body(page, kept), Some(KEEP_POST_SCRIPT)),
        Page::ResumePost { key, fallback } => (render(&ResumeBody { key, fallback }), Some(RESUME_POST_SCRIPT)),
        _ => (render(&notice(page, help, request_id)), None),
    };
    let wide = matches!(page, Page::Portal(_));
    render(&Frame { title: title(page), organisation, tone: tone(page), wide, style: STYLE, body: &body, script })
}

/// What the page is about, in a few words.
pub(super) const fn title(page: &Page<'_>) -> &'static str {
    match page {
        Page::Blocked(_) => "You do not have access",
        Page::AtRisk(_) => "Your account is protected",
        Page::Warning(_) => "Before you go on",
        Page::StepUpFailed { .. } => "Stronger sign-in did not work",
        Page::SignInRequired { .. } => "Please sign in",
        Page::SignInFailed { .. } => "Signing in did not work",
        Page::TooManyAttempts { .. } => "Signing in keeps failing",
        Page::ProviderDown { .. } => "Microsoft cannot be reached",
        Page::StoreDown => "Your session cannot be checked right now",
        Page::SignOutConfirm { .. } => "Sign out?",
        Page::SignedOut { .. } | Page::FrontChannelDone => "You are signed out",
        Page::Portal(_) => "Your apps",
        Page::UpstreamDown { .. } => "The app is not available",
        Page::UpstreamTimeout { .. } => "The app took too long to answer",
        Page::Busy => "Too busy at the moment",
        Page::NotFound => "Nothing here",
        Page::Misdirected => "Wrong connection for this address",
        Page::BadRequest { .. } => "This request was not understood",
        Page::MethodNotAllowed => "This kind of request is not accepted here",
        Page::PayloadTooLarge => "This is too large to send",
        Page::PreservePost(kept) => match kept.why {
            KeptWhile::SigningIn | KeptWhile::SteppingUp => "Taking you to sign in",
            KeptWhile::Warned => "One moment",
        },
        Page::ResumePost { .. } => "Sending your form",
    }
}

/// One or two sentences: what happened and what to do.
pub(super) fn message(page: &Page<'_>) -> String {
    match page {
        Page::Blocked(blocked) => blocked.reason.sentence().to_owned(),
        Page::AtRisk(risk) => risk.reason.sentence().to_owned(),
        Page::Warning(warning) => warning.caution.sentence().to_owned(),
        Page::StepUpFailed { problem, .. } => format!("{} {}", problem.sentence(), problem.advice()),
        Page::SignInFailed { problem, .. } => format!("{} {}", problem.sentence(), problem.advice()),
        Page::UpstreamDown { app } => format!("{app} could not be reached. Try again in a moment."),
        Page::UpstreamTimeout { app } => format!("{app} did not answer in time. Try again in a moment."),
        other => fixed_message(other).to_owned(),
    }
}

const fn fixed_message(page: &Page<'_>) -> &'static str {
    match page {
        Page::SignInRequired { .. } => "You need to sign in to open this.",
        Page::TooManyAttempts { .. } => {
            "Your browser came back several times without being signed in, so we stopped trying. Check that cookies \
             are allowed for this site and that the clock of your device is right, then try again."
        }
        Page::ProviderDown { .. } => "Signing in needs Microsoft, which does not answer. Try again in a moment.",
        Page::StoreDown => "You may still be signed in. Try again in a moment.",
        Page::SignOutConfirm { .. } => "You will be signed out of every app behind this gateway.",
        Page::SignedOut { .. } => "Everything that was open in this browser has been closed.",
        Page::FrontChannelDone => "The session has ended.",
        Page::Portal(_) => "The apps behind this gateway. The rules decide which of them open with this account.",
        Page::Busy => "All places are taken. Try again in a moment.",
        Page::NotFound => "There is no app at this address. Check the address, or go back.",
        Page::Misdirected => "Your browser used a connection that was opened for another site. Reload the page.",
        Page::BadRequest { .. } => "What your browser or program sent is not valid, so it was not passed on.",
        Page::MethodNotAllowed => "The app does not take requests of this kind.",
        Page::PayloadTooLarge => "What you sent is larger than the app accepts.",
        Page::PreservePost(kept) => kept_message(kept.why),
        Page::ResumePost { .. } => "You are signed in. Your form is being sent.",
        Page::Blocked(_)
        | Page::AtRisk(_)
        | Page::Warning(_)
        | Page::StepUpFailed { .. }
        | Page::SignInFailed { .. }
        | Page::UpstreamDown { .. }
        | Page::UpstreamTimeout { .. } => "",
    }
}

const fn kept_message(why: KeptWhile) -> &'static str {
    match why {
        KeptWhile::SigningIn => {
            "Your session has ended. Your form is kept in this browser and sent once you are signed in again."
        }
        KeptWhile::SteppingUp => {
            "Your organisation asks for a stronger sign-in. Your form is kept in this browser and sent once you have done it."
        }
        KeptWhile::Warned => "Your form is kept in this browser and sent once you have read a notice.",
    }
}

const fn tone(page: &Page<'_>) -> &'static str {
    match page {
        Page::Blocked(_) | Page::AtRisk(_) => "stop",
        Page::SignedOut { .. } | Page::FrontChannelDone => "good",
        Page::SignInRequired { .. }
        | Page::SignOutConfirm { .. }
        | Page::Portal(_)
        | Page::PreservePost(_)
        | Page::ResumePost { .. } => "calm",
        _ => "warn",
    }
}

fn notice<'a>(page: &'a Page<'a>, help: &'a Help, request_id: &'a str) -> NoticeBody<'a> {
    let mut notice = NoticeBody {
        tone: tone(page),
        title: title(page),
        message: message(page),
        advice: "",
        help: None,
        action: None,
        second: None,
        person: None,
        details: Vec::new(),
        request_id: Some(request_id),
    };
    match page {
        Page::Blocked(blocked) => {
            block_details(blocked, &mut notice);
            notice.help = Some(help);
        }
        Page::StepUpFailed { problem, retry } => {
            notice.action = Some(Action { label: "Try again", url: retry });
            // The page is only ever shown at the sign-in host, where this is the portal.
            notice.second = Some(Action { label: "Your apps", url: "/" });
            notice.details.push(("Reason", problem.word()));
            notice.help = Some(help);
        }
        Page::SignInRequired { login_url } => notice.action = Some(Action { label: "Sign in", url: login_url }),
        Page::SignInFailed { problem, retry } => {
            notice.action = retry.map(|url| Action { label: "Try again", url });
            notice.details.push(("Reason", problem.word()));
        }
        Page::TooManyAttempts { retry } => notice.action = Some(Action { label: "Try again", url: retry }),
        Page::ProviderDown { retry } => notice.action = retry.map(|url| Action { label: "Try again", url }),
        Page::SignedOut { sign_in } => {
            notice.action = sign_in.map(|url| Action { label: "Sign in again", url });
            notice.request_id = None;
        }
        Page::FrontChannelDone => notice.request_id = None,
        Page::BadRequest { word } => notice.details.push(("Reason", word.word())),
        _ => {}
    }
    notice
}

fn block_details<'a>(blocked: &'a Blocked<'a>, notice: &mut NoticeBody<'a>) {
    notice.advice = "If you need it, ask your administrator and give them the request id below.";
    notice.details.push(("App", blocked.app));
    if let Some(person) = blocked.person {
        notice.person = Some(person);
    }
    notice.details.push(("Reason", blocked.reason.word()));
    notice.second = blocked.sign_out.map(|url| Action { label: "Use another account", url });
}

fn warning_body(page: &Page<'_>, warning: &Warning<'_>, help: &Help, request_id: &str) -> String {
    let Warning { app, person, action, token, .. } = warning;
    let (title, message) = (title(page), message(page));
    render(&WarningBody { title, message: &message, help, app, person: *person, action, token, request_id })
}

fn risk_body(page: &Page<'_>, risk: &AtRisk<'_>, help: &Help, request_id: &str) -> String {
    let (title, message) = (title(page), message(page));
    let AtRisk { reason, app, person, sign_in } = risk;
    render(&RiskBody {
        title,
        message: &message,
        help,
        app,
        person: *person,
        reason: reason.word(),
        sign_in,
        request_id,
    })
}

fn portal_body(portal: &Portal<'_>) -> String {
    render(&PortalBody {
        person: portal.person,
        apps: portal.apps,
        session: portal.session,
        sign_out: portal.sign_out,
        csrf: portal.csrf,
    })
}

fn keep_body(page: &Page<'_>, kept: &KeptPost<'_>) -> String {
    let warned = kept.why == KeptWhile::Warned;
    render(&KeepBody {
        title: title(page),
        message: kept_message(kept.why),
        without_scripts: if warned { "Read the notice" } else { "Sign in" },
        label: if warned { "Continue" } else { "Sign in" },
        key: kept.key,
        action: kept.action,
        fields: kept.fields,
        login_url: kept.login_url,
    })
}

/// Templates write to memory and cannot fail; should one do so, nothing half-made is shown.
fn render(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}

struct Action<'a> {
    label: &'static str,
    url: &'a str,
}

/// The letter on an app's tile.
fn initial(name: &str) -> String {
    name.chars().find(|c| c.is_alphanumeric()).map(String::from).unwrap_or_default()
}

/// Host of an address, for display.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>{{ title }} – Portcullis</title>
<style>{{ style|safe }}</style>
</head>
<body>
<header><svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M4 21V10a8 8 0 0 1 16 0v11M9 4v15M15 4v15M12 3v18M4 11h16M4 16h16"/></svg><span>Portcullis</span>{% if let Some(name) = organisation %}<span class="org">{{ name }}</span>{% endif %}</header>
<main>
<div class="card {{ tone }}{% if wide %} wide{% endif %}">
{{ body|safe }}
</div>
</main>
{% if let Some(text) = script %}<script>{{ text|safe }}</script>
{% endif %}</body>
</html>
"##
)]
struct Frame<'a> {
    title: &'static str,
    organisation: Option<&'a str>,
    tone: &'static str,
    wide: bool,
    style: &'static str,
    /// Rendered by one of the templates below, so already escaped.
    body: &'a str,
    script: Option<&'static str>,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<div class="mark" aria-hidden="true"><svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round">{% if tone == "stop" %}<circle cx="12" cy="12" r="9"/><path d="M5.7 5.7l12.6 12.6"/>{% else if tone == "good" %}<path d="M5 12.5l4.5 4.5L19 7.5"/>{% else if tone == "warn" %}<path d="M12 5v9M12 18.5v.5"/>{% else %}<path d="M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M4 12h11M11 8l4 4-4 4"/>{% endif %}</svg></div>
<h1>{{ title }}</h1>
<p>{{ message }}</p>
{% if !advice.is_empty() %}<p class="soft">{{ advice }}</p>
{% endif %}{% if let Some(help) = help %}{% if let Some(text) = help.text %}<p class="soft">{{ text }}</p>
{% endif %}{% if let Some(url) = help.url %}<p class="soft"><a href="{{ url }}">Get help</a></p>
{% endif %}{% endif %}{% if action.is_some() || second.is_some() %}<div class="actions">{% if let Some(a) = action %}<a class="button" href="{{ a.url }}">{{ a.label }}</a>{% endif %}{% if let Some(a) = second %}<a class="button plain" href="{{ a.url }}">{{ a.label }}</a>{% endif %}</div>
{% endif %}{% if request_id.is_some() || !details.is_empty() %}<dl>{% if let Some(who) = person %}<dt>Signed in as</dt><dd>{{ who.name }}{% if !who.email.is_empty() %}<br>{{ who.email }}{% endif %}</dd>{% endif %}{% for (label, value) in details %}<dt>{{ label }}</dt><dd>{{ value }}</dd>{% endfor %}{% if let Some(id) = request_id %}<dt>Request id</dt><dd><code>{{ id }}</code></dd>{% endif %}</dl>{% endif %}"##
)]
struct NoticeBody<'a> {
    tone: &'static str,
    title: &'static str,
    message: String,
    advice: &'static str,
    help: Option<&'a Help>,
    action: Option<Action<'a>>,
    second: Option<Action<'a>>,
    person: Option<SignedInAs<'a>>,
    details: Vec<(&'static str, &'a str)>,
    request_id: Option<&'a str>,
}

const MARK_WARN: &str = r##"<div class="mark" aria-hidden="true"><svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"><path d="M12 5v9M12 18.5v.5"/></svg></div>"##;
const MARK_SHIELD: &str = r##"<div class="mark" aria-hidden="true"><svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"><path d="M12 3l7 3v5c0 4.5-3 8-7 10-4-2-7-5.5-7-10V6z"/></svg></div>"##;

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"{{ self::MARK_WARN|safe }}
<h1>{{ title }}</h1>
<p>{{ message }}</p>
{% if let Some(text) = help.text %}<p class="soft">{{ text }}</p>
{% endif %}{% if let Some(url) = help.url %}<p class="soft"><a href="{{ url }}">Get help</a></p>
{% endif %}<p class="soft">Once you continue, this is not shown again for 24 hours.</p>
<form method="post" action="{{ action }}"><input type="hidden" name="to" value="{{ token }}">
<div class="actions"><button class="button" type="submit">Continue to {{ app }}</button></div></form>
<dl><dt>Signed in as</dt><dd>{{ person.name }}{% if !person.email.is_empty() %}<br>{{ person.email }}{% endif %}</dd><dt>App</dt><dd>{{ app }}</dd><dt>Request id</dt><dd><code>{{ request_id }}</code></dd></dl>"##
)]
struct WarningBody<'a> {
    title: &'static str,
    message: &'a str,
    help: &'a Help,
    app: &'a str,
    person: SignedInAs<'a>,
    action: &'a str,
    token: &'a str,
    request_id: &'a str,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"{{ self::MARK_SHIELD|safe }}
<h1>{{ title }}</h1>
<p>{{ message }} {{ app }} stays closed to it until that is settled.</p>
<p>What you can do yourself:</p>
<ol class="steps">
<li><a href="{{ help.password_reset_url }}" target="_blank" rel="noreferrer">Reset your password</a> if somebody else may know it.</li>
<li><a href="{{ help.security_info_url }}" target="_blank" rel="noreferrer">Check your sign-in methods</a> and remove what is not yours.</li>
<li>Sign in again, so that your organisation sees that it is you.</li>
</ol>
<p class="soft">If that does not help, give your administrator the request id below.</p>
{% if let Some(text) = help.text %}<p class="soft">{{ text }}</p>
{% endif %}{% if let Some(url) = help.url %}<p class="soft"><a href="{{ url }}">Get help</a></p>
{% endif %}<div class="actions"><a class="button" href="{{ sign_in }}">Sign in again</a></div>
<dl>{% if let Some(who) = person %}<dt>Signed in as</dt><dd>{{ who.name }}{% if !who.email.is_empty() %}<br>{{ who.email }}{% endif %}</dd>{% endif %}<dt>App</dt><dd>{{ app }}</dd><dt>Reason</dt><dd>{{ reason }}</dd><dt>Request id</dt><dd><code>{{ request_id }}</code></dd></dl>"##
)]
struct RiskBody<'a> {
    title: &'static str,
    message: &'a str,
    help: &'a Help,
    app: &'a str,
    person: Option<SignedInAs<'a>>,
    reason: &'static str,
    sign_in: &'a str,
    request_id: &'a str,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<h1>Sign out?</h1>
<p>You will be signed out of every app behind this gateway.</p>
<form method="post" action="{{ action }}"><input type="hidden" name="csrf" value="{{ csrf }}">
<div class="actions"><button class="button" type="submit">Sign out</button><a class="button plain" href="/">Stay signed in</a></div></form>
{% if let Some(person) = person %}<dl><dt>Signed in as</dt><dd>{{ person.name }}{% if !person.email.is_empty() %}<br>{{ person.email }}{% endif %}</dd></dl>{% endif %}"##
)]
struct SignOutBody<'a> {
    action: &'a str,
    csrf: &'a str,
    person: Option<SignedInAs<'a>>,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<div class="top"><div><h1>Your apps</h1>
<p class="soft">{{ person.name }}{% if !person.email.is_empty() %} · {{ person.email }}{% endif %}</p></div>
<div class="actions"><form method="post" action="{{ sign_out }}"><input type="hidden" name="csrf" value="{{ csrf }}"><button class="button plain" type="submit">Sign out</button></form></div></div>
{% if apps.is_empty() %}<p>No app is open to your account yet. Ask your administrator.</p>
{% else %}<ul class="apps">{% for app in apps.iter() %}<li><a href="{{ app.url }}"><span class="tile" aria-hidden="true">{{ self::initial(app.name) }}</span><span class="text"><strong>{{ app.name }}</strong><small>{{ self::host_of(app.url) }}</small></span></a></li>{% endfor %}</ul>
{% endif %}<dl><dt>Session</dt><dd>{{ session }}</dd></dl>"##
)]
struct PortalBody<'a> {
    person: SignedInAs<'a>,
    apps: &'a [AppLink<'a>],
    session: &'a str,
    sign_out: &'a str,
    csrf: &'a str,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<h1>{{ title }}</h1>
<p>{{ message }}</p>
<noscript><p>Without scripts your form cannot be kept. {{ without_scripts }}, then send it again.</p></noscript>
<div id="kept" hidden data-action="{{ action }}" data-key="{{ key }}" data-next="{{ login_url }}">{% for (name, value) in fields.iter() %}<input type="hidden" name="{{ name }}" value="{{ value }}">{% endfor %}</div>
<div class="actions"><a class="button" href="{{ login_url }}">{{ label }}</a></div>"##
)]
struct KeepBody<'a> {
    title: &'static str,
    message: &'static str,
    without_scripts: &'static str,
    label: &'static str,
    key: &'a str,
    action: &'a str,
    fields: &'a [(String, String)],
    login_url: &'a str,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<div id="resume" data-key="{{ key }}"></div>
<div id="waiting"><h1>Sending your form</h1>
<p>You are signed in. Your form is being sent.</p>
<noscript><p>Your browser runs no scripts, so please go back and send the form again.</p></noscript></div>
<div id="lost" hidden><h1>Your form could not be kept</h1>
<p>You are signed in, but the form is no longer in this browser. Please fill it in again.</p></div>
<div class="actions"><a class="button plain" href="{{ fallback }}">Continue without the form</a></div>"##
)]
struct ResumeBody<'a> {
    key: &'a str,
    fallback: &'a str,
}

pub(super) const STYLE: &str = include_str!("style.css");
pub(super) const KEEP_POST_SCRIPT: &str = include_str!("keep_post.js");
pub(super) const RESUME_POST_SCRIPT: &str = include_str!("resume_post.js");
