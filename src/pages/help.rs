//! Where people who are held up find help: the organisation's own words and links.

/// Text and links for pages that hold somebody up. Addresses are https and come from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// One sentence of the organisation, such as whom to call.
    pub text: Option<String>,
    /// A page of the organisation.
    pub url: Option<String>,
    /// Where a forgotten or leaked password is replaced.
    pub password_reset_url: String,
    /// Where people see and change how they prove who they are.
    pub security_info_url: String,
}

impl Help {
    /// Microsoft's self-service password reset.
    pub const PASSWORD_RESET: &'static str = "https://aka.ms/sspr";
    /// Microsoft's page of a person's own sign-in methods.
    pub const SECURITY_INFO: &'static str = "https://mysignins.microsoft.com/security-info";
}

impl Default for Help {
    fn default() -> Self {
        Self {
            text: None,
            url: None,
            password_reset_url: Self::PASSWORD_RESET.to_owned(),
            security_info_url: Self::SECURITY_INFO.to_owned(),
        }
    }
}
