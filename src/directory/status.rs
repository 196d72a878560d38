//! What an administrator sees of a tenant: three permissions, each with status, reason and cure, and how far the
//! reading is.

use crate::facts::{RiskFeed, TenantId, UnixTime};

/// One of the three permissions of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gate {
    /// Users and groups, and actions on accounts.
    Directory,
    /// The risk of accounts.
    Risk,
    /// The administrator's own switch: may this gateway take the data at all.
    DataUpload,
}

impl Gate {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Directory, Self::Risk, Self::DataUpload];

    /// The word in the admin API, metrics and the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Risk => "risk",
            Self::DataUpload => "data_upload",
        }
    }
}

/// How one permission stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateStatus {
    /// Nobody consented yet, or the switch was never turned on.
    NeverGranted,
    /// Everything that belongs to it is there, proven by token and probe.
    Granted,
    /// Some of it is there.
    Partial {
        /// Names of the permissions that are missing.
        missing: Vec<String>,
    },
    /// It cannot be told, or the last try failed.
    Error {
        /// Why, in one sentence.
        reason: String,
    },
    /// It was there and is gone, or the switch was turned off.
    Revoked,
}

impl GateStatus {
    /// The word in the admin API, metrics and records.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NeverGranted => "never_granted",
            Self::Granted => "granted",
            Self::Partial { .. } => "partial",
            Self::Error { .. } => "error",
            Self::Revoked => "revoked",
        }
    }

    /// Whether all of it is there.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self, Self::Granted)
    }

    /// Why it is not, in one sentence; nothing when all is well.
    #[must_use]
    pub fn reason(&self, gate: Gate) -> Option<String> {
        Some(match (self, gate) {
            (Self::Granted, _) => return None,
            (Self::NeverGranted, Gate::DataUpload) => "nobody has turned data upload on for this tenant".to_owned(),
            (Self::Revoked, Gate::DataUpload) => "an administrator has turned data upload off".to_owned(),
            (Self::NeverGranted, _) => "no administrator of the tenant has consented yet".to_owned(),
            (Self::Revoked, _) => "the consent was there and has been taken back in the tenant".to_owned(),
            (Self::Partial { missing }, _) => format!("not granted: {}", missing.join(", ")),
            (Self::Error { reason }, _) => reason.clone(),
        })
    }
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SyncKind {
    /// Users.
    Users,
    /// Groups and who is in them.
    Groups,
    /// Risky accounts.
    Risk,
}

impl SyncKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Users, Self::Groups, Self::Risk];

    /// The word in metrics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Risk => "risk",
        }
    }
}

/// How far a reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing was ever read.
    Never,
    /// The first reading waits for its time.
    Waiting,
    /// The first reading, or one that starts anew, is under way.
    FullRunning,
    /// A full reading is done and nothing was read since.
    FullDone,
    /// Changes are being read.
    UpdateRunning,
    /// Changes were read; the snapshot is up to date as of the last one.
    UpdateDone,
    /// The last try failed; it is tried again.
    Failed,
}

impl Phase {
    /// The word for administrators.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Waiting => "waiting",
            Self::FullRunning => "full_running",
            Self::FullDone => "full_done",
            Self::UpdateRunning => "update_running",
            Self::UpdateDone => "update_done",
            Self::Failed => "failed",
        }
    }
}

/// One reading as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is read.
    pub kind: SyncKind,
    /// How far it is.
    pub phase: Phase,
    /// Items known now.
    pub items: u64,
    /// Items that the last or current reading brought.
    pub read: u64,
    /// When the current or last reading began.
    pub started: Option<UnixTime>,
    /// When the last one ended well.
    pub finished: Option<UnixTime>,
    /// When the next one begins.
    pub next: Option<UnixTime>,
    /// Why the last try failed, if it did.
    pub error: Option<String>,
}

/// One tenant as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantStatus {
    /// Which.
    pub tenant: TenantId,
    /// The three permissions, in the order of [`Gate::ALL`].
    pub gates: [(Gate, GateStatus); 3],
    /// What mends each permission that is not whole, a link or a sentence, in the same order.
    pub cures: [Option<String>; 3],
    /// The readings.
    pub progress: Vec<Progress>,
    /// Where risk comes from.
    pub feed: RiskFeed,
}
