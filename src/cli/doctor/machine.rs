//! Checks of this machine: configuration, state folder, ports.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::config::Config;

use super::Finding;

/// The configuration has been read; what is left are its warnings.
pub(super) fn configuration(config: &Config) -> Vec<Finding> {
    let count = format!("valid, {} apps, {} rules", config.apps.len(), config.rules.len());
    let mut findings = vec![Finding::good("config", count)];
    if config.rules.is_empty() {
        let advice = "add a rule that allows somebody something; without one every request is blocked";
        findings.push(Finding::doubtful("config", "there are no rules", advice));
    }
    for warning in &config.warnings {
        findings.push(Finding::doubtful("config", warning.to_string(), "change it as the message says"));
    }
    findings
}

/// Whether the state folder can be written, found out by writing.
pub(super) fn state_dir(dir: &Path) -> Finding {
    let shown = dir.display();
    let Ok(metadata) = std::fs::metadata(dir) else {
        let Some(parent) = dir.ancestors().skip(1).find(|parent| parent.is_dir()) else {
            return Finding::bad(
                "state",
                format!("{shown} cannot be created"),
                "create it for the gateway's user, mode 0700",
            );
        };
        return match try_write(parent) {
            Ok(()) => Finding::good("state", format!("{shown} will be created")),
            Err(error) => Finding::bad(
                "state",
                format!("{shown} is not there and {} cannot be written: {error}", parent.display()),
                "create it for the gateway's user, mode 0700",
            ),
        };
    };
    if let Err(error) = try_write(dir) {
        let advice = "give the folder to the user the gateway runs as, and look for a full or read-only disk";
        return Finding::bad("state", format!("{shown} cannot be written: {error}"), advice);
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let advice = format!("chmod 700 {shown}: it holds the keys that sessions are sealed with");
        return Finding::doubtful("state", format!("{shown} is open to other users of this machine"), advice);
    }
    Finding::good("state", format!("{shown} can be written"))
}

fn try_write(dir: &Path) -> std::io::Result<()> {
    let probe = dir.join(format!(".portcullis-doctor-{}", std::process::id()));
    std::fs::File::create_new(&probe)?;
    std::fs::remove_file(&probe)
}

/// Whether the configured ports can be opened.
pub(super) fn ports(config: &Config) -> Vec<Finding> {
    let https = config.edge.https.iter().map(|address| ("https", *address));
    let redirect = config.edge.redirect.iter().map(|address| ("redirect", *address));
    let admin = std::iter::once(("admin", config.admin.listen));
    https.chain(redirect).chain(admin).map(|(purpose, address)| port(purpose, address)).collect()
}

fn port(purpose: &str, address: SocketAddr) -> Finding {
    let at = format!("{purpose} {address}");
    match TcpListener::bind(address) {
        Ok(_) => Finding::good("port", format!("{at} is free")),
        Err(error) => match error.kind() {
            ErrorKind::AddrInUse => Finding::doubtful(
                "port",
                format!("{at} is in use"),
                "fine if the gateway is running now; otherwise stop what holds it, or choose another port",
            ),
            ErrorKind::PermissionDenied => Finding::bad(
                "port",
                format!("{at} may not be opened"),
                "give the program CAP_NET_BIND_SERVICE, or use a port above 1023 behind a port mapping",
            ),
            ErrorKind::AddrNotAvailable => Finding::bad(
                "port",
                format!("{at} is not an address of this machine"),
                "use 0.0.0.0 or [::], or one of its own",
            ),
            _ => Finding::bad("port", format!("{at}: {error}"), "choose another address or port"),
        },
    }
}
