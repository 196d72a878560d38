//! Which permissions of Microsoft Graph the gateway knows, and which of them each ability needs.
//!
//! Names and what each call needs: <https://learn.microsoft.com/graph/permissions-reference> and `permissions.json`
//! of microsoft-graph-devx-content (6cbd6bb66).

/// An application permission, as it stands in the `roles` of an app-only token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `IdentityRiskyUser.Read.All`.
    RiskyUserRead,
    /// `IdentityRiskyUser.ReadWrite.All`.
    RiskyUserWrite,
    /// `IdentityRiskEvent.Read.All`.
    RiskEventRead,
    /// `User.Read.All`.
    UserRead,
    /// `User.ReadWrite.All`.
    UserWrite,
    /// `User.RevokeSessions.All`.
    RevokeSessions,
    /// `User.EnableDisableAccount.All`.
    EnableDisable,
    /// `User-PasswordProfile.ReadWrite.All`.
    PasswordProfile,
    /// `Group.Read.All`.
    GroupRead,
    /// `GroupMember.Read.All`.
    GroupMemberRead,
    /// `AuditLog.Read.All`.
    AuditLogRead,
    /// `AuthenticationContext.Read.All`.
    AuthenticationContextRead,
    /// `Application.Read.All`.
    ApplicationRead,
    /// `Directory.Read.All`.
    DirectoryRead,
    /// `UserAuthenticationMethod.Read.All`.
    AuthenticationMethodRead,
    /// `Policy.Read.All`.
    PolicyRead,
    /// Any other. More than the gateway asked for, or newer than it.
    Unknown,
}

impl Role {
    /// Reads the name of a permission; never fails.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "IdentityRiskyUser.Read.All" => Self::RiskyUserRead,
            "IdentityRiskyUser.ReadWrite.All" => Self::RiskyUserWrite,
            "IdentityRiskEvent.Read.All" => Self::RiskEventRead,
            "User.Read.All" => Self::UserRead,
            "User.ReadWrite.All" => Self::UserWrite,
            "User.RevokeSessions.All" => Self::RevokeSessions,
            "User.EnableDisableAccount.All" => Self::EnableDisable,
            "User-PasswordProfile.ReadWrite.All" => Self::PasswordProfile,
            "Group.Read.All" => Self::GroupRead,
            "GroupMember.Read.All" => Self::GroupMemberRead,
            "AuditLog.Read.All" => Self::AuditLogRead,
            "AuthenticationContext.Read.All" => Self::AuthenticationContextRead,
            "Application.Read.All" => Self::ApplicationRead,
            "Directory.Read.All" => Self::DirectoryRead,
            "UserAuthenticationMethod.Read.All" => Self::AuthenticationMethodRead,
            "Policy.Read.All" => Self::PolicyRead,
            _ => Self::Unknown,
        }
    }
}

impl Role {
    /// Its name at Microsoft.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RiskyUserRead => "IdentityRiskyUser.Read.All",
            Self::RiskyUserWrite => "IdentityRiskyUser.ReadWrite.All",
            Self::RiskEventRead => "IdentityRiskEvent.Read.All",
            Self::UserRead => "User.Read.All",
            Self::UserWrite => "User.ReadWrite.All",
            Self::RevokeSessions => "User.RevokeSessions.All",
            Self::EnableDisable => "User.EnableDisableAccount.All",
            Self::PasswordProfile => "User-PasswordProfile.ReadWrite.All",
            Self::GroupRead => "Group.Read.All",
            Self::GroupMemberRead => "GroupMember.Read.All",
            Self::AuditLogRead => "AuditLog.Read.All",
            Self::AuthenticationContextRead => "AuthenticationContext.Read.All",
            Self::ApplicationRead => "Application.Read.All",
            Self::DirectoryRead => "Directory.Read.All",
            Self::AuthenticationMethodRead => "UserAuthenticationMethod.Read.All",
            Self::PolicyRead => "Policy.Read.All",
            Self::Unknown => "unknown",
        }
    }
}

/// Something the gateway can do with Graph, if the tenant's administrator consented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Users, groups and who is in them.
    ReadDirectory,
    /// The risk of accounts.
    ReadRiskyUsers,
    /// Single detections of risk.
    ReadDetections,
    /// End what an account has open at Microsoft.
    RevokeSessions,
    /// Disable and enable accounts.
    EnableDisable,
    /// Make a person choose a new password.
    ForcePasswordChange,
    /// Confirm or dismiss risk.
    WriteRisk,
    /// The directory's audit log.
    ReadAuditLog,
    /// Authentication contexts of Conditional Access. For `doctor` only, and so not among [`Capability::ALL`].
    ReadAuthContexts,
    /// Conditional Access policies. For `doctor` only, as above.
    ReadPolicies,
}

impl Capability {
    /// Every capability that a part of the running gateway may need.
    pub const ALL: &'static [Self] = &[
        Self::ReadDirectory,
        Self::ReadRiskyUsers,
        Self::ReadDetections,
        Self::RevokeSessions,
        Self::EnableDisable,
        Self::ForcePasswordChange,
        Self::WriteRisk,
        Self::ReadAuditLog,
    ];

    /// The word in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReadDirectory => "read_directory",
            Self::ReadRiskyUsers => "read_risky_users",
            Self::ReadDetections => "read_detections",
            Self::RevokeSessions => "revoke_sessions",
            Self::EnableDisable => "enable_disable",
            Self::ForcePasswordChange => "force_password_change",
            Self::WriteRisk => "write_risk",
            Self::ReadAuditLog => "read_audit_log",
            Self::ReadAuthContexts => "read_auth_contexts",
            Self::ReadPolicies => "read_policies",
        }
    }

    /// The sets of permissions of which any one is enough; the least one first. `IdentityRiskyUser.ReadWrite.All` is
    /// deliberately no alternative for reading: Microsoft does not list it for the GET calls.
    #[must_use]
    pub const fn needs(self) -> &'static [&'static [Role]] {
        match self {
            Self::ReadDirectory => {
                &[&[Role::UserRead, Role::GroupMemberRead], &[Role::UserRead, Role::GroupRead], &[Role::DirectoryRead]]
            }
            Self::ReadRiskyUsers => &[&[Role::RiskyUserRead]],
            Self::ReadDetections => &[&[Role::RiskEventRead]],
            Self::RevokeSessions => &[&[Role::RevokeSessions]],
            Self::EnableDisable => &[&[Role::EnableDisable, Role::UserRead], &[Role::UserWrite]],
            Self::ForcePasswordChange => &[&[Role::PasswordProfile]],
            Self::WriteRisk => &[&[Role::RiskyUserWrite]],
            Self::ReadAuditLog => &[&[Role::AuditLogRead]],
            Self::ReadAuthContexts => &[&[Role::AuthenticationContextRead]],
            Self::ReadPolicies => &[&[Role::PolicyRead]],
        }
    }

    /// Whether `granted` is enough. Diagnostics only: Graph decides, and Microsoft may change what is enough.
    #[must_use]
    pub fn is_met_by(self, granted: &[Role]) -> bool {
        self.needs().iter().any(|set| set.iter().all(|role| granted.contains(role)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_risk_does_not_include_reading_it() {
        assert!(Capability::WriteRisk.is_met_by(&[Role::RiskyUserWrite]));
        assert!(!Capability::ReadRiskyUsers.is_met_by(&[Role::RiskyUserWrite]));
        assert!(Capability::ReadDirectory.is_met_by(&[Role::GroupRead, Role::UserRead]));
        assert!(!Capability::EnableDisable.is_met_by(&[Role::EnableDisable]));
        assert!(Capability::ALL.iter().all(|one| !one.is_met_by(&[Role::Unknown])));
        let roles = Capability::ALL.iter().flat_map(|one| one.needs().concat());
        assert!(roles.into_iter().all(|role| Role::from_name(role.name()) == role), "a name leads to its permission");
    }
}
