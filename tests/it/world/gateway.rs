//! The real gateway as a process of its own, so that it can be killed, drained and reloaded like in life.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::certs::Pair;
use super::shapes::{self, Settings};

/// A running gateway with its folder. Killed when dropped.
pub(crate) struct Gateway {
    child: Option<Child>,
    dir: TempDir,
    pub(crate) settings: Settings,
    addresses: Value,
}

impl Gateway {
    /// Writes a folder with everything the gateway needs, and starts it.
    pub(crate) async fn start(settings: Settings, certificate: &Pair) -> Self {
        let dir = TempDir::new().unwrap();
        certificate.write(dir.path());
        fs::create_dir(dir.path().join("state")).unwrap();
        let secret = dir.path().join("client-secret");
        fs::write(&secret, shapes::CLIENT_SECRET).unwrap();
        fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        fs::write(dir.path().join("rules.toml"), &settings.rules).unwrap();
        let mut gateway = Self { child: None, dir, settings, addresses: Value::Null };
        gateway.write_configuration();
        gateway.start_again().await;
        gateway
    }

    /// Starts the process on the same folder; it must not be running.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        let _ = fs::remove_file(self.addresses_file());
        let log = fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(shapes::run_arguments(&self.config_file()))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if let Some(addresses) =
                fs::read(self.addresses_file()).ok().and_then(|text| serde_json::from_slice(&text).ok())
            {
                self.addresses = addresses;
                return;
            }
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("the gateway ended with {status} at its start:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "the gateway does not listen:\n{}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn https(&self) -> SocketAddr {
        self.address("https")
    }

    pub(crate) fn redirect(&self) -> SocketAddr {
        self.address("redirect")
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.address("admin")
    }

    fn address(&self, listener: &str) -> SocketAddr {
        let text = self.addresses[listener][0].as_str();
        text.unwrap_or_else(|| panic!("no `{listener}` in {}", self.addresses)).parse().unwrap()
    }

    /// The folder with configuration, rules and certificates.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The admin token.
    pub(crate) fn admin_token(&self) -> String {
        fs::read_to_string(self.dir.path().join("state/admin-token")).unwrap().trim().to_owned()
    }

    /// Everything the gateway wrote to its standard outputs.
    pub(crate) fn log(&self) -> String {
        // The decision log is written in batches: read on until nothing more comes for a moment.
        let mut text = fs::read_to_string(self.log_file()).unwrap_or_default();
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(120));
            let more = fs::read_to_string(self.log_file()).unwrap_or_default();
            if more.len() == text.len() {
                break;
            }
            text = more;
        }
        text
    }

    /// Writes the configuration for the present settings, in one step.
    pub(crate) fn write_configuration(&self) {
        let new = self.dir.path().join("portcullis.toml.new");
        fs::write(&new, shapes::configuration(self.dir.path(), &self.settings)).unwrap();
        fs::rename(new, self.config_file()).unwrap();
    }

    /// SIGHUP: read configuration, rules and certificates again.
    pub(crate) fn reload(&self) {
        self.signal("HUP");
    }

    /// SIGTERM: drain and end.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits until the process ended by itself.
    pub(crate) async fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.as_mut().expect("it ran").try_wait().unwrap() {
                self.child = None;
                return status;
            }
            assert!(Instant::now() < deadline, "the gateway does not end within {within:?}:\n{}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.dir.path().join("portcullis.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn addresses_file(&self) -> PathBuf {
        self.dir.path().join("state").join(shapes::ADDRESSES_FILE)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the gateway's log\n{}", self.log());
        }
    }
}

const START_DEADLINE: Duration = Duration::from_secs(20);
