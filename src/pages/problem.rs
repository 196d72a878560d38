//! What can be wrong with a sign-in or a request, in closed lists: the text of a provider or client is never shown.

use http::StatusCode;

/// Why a sign-in did not succeed, as the person is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignInProblem {
    /// The answer belongs to no sign-in of this browser, or to one long ago.
    Stale,
    /// The answer was used before.
    Replayed,
    /// The person pressed "cancel" at the provider.
    Cancelled,
    /// Consent or assignment is missing; an administrator must grant it.
    NotAssigned,
    /// The account is not of an accepted tenant.
    WrongTenant,
    /// The account is disabled or otherwise not allowed to sign in.
    AccountRefused,
    /// The provider asked for something that needs a person and could not be done silently.
    InteractionRequired,
    /// The provider refused the gateway itself: secret, redirect address or app registration is wrong.
    Misconfigured,
    /// The provider's answer failed a check.
    InvalidAnswer,
    /// The provider reported a fault of its own.
    ProviderFault,
    /// The browser sent no cookie back.
    CookiesOff,
}

impl SignInProblem {
    /// Every problem, for tests and tables.
    pub const ALL: [Self; 11] = [
        Self::Stale,
        Self::Replayed,
        Self::Cancelled,
        Self::NotAssigned,
        Self::WrongTenant,
        Self::AccountRefused,
        Self::InteractionRequired,
        Self::Misconfigured,
        Self::InvalidAnswer,
        Self::ProviderFault,
        Self::CookiesOff,
    ];

    /// The word in the JSON twin.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Replayed => "replayed",
            Self::Cancelled => "cancelled",
            Self::NotAssigned => "not_assigned",
            Self::WrongTenant => "wrong_tenant",
            Self::AccountRefused => "account_refused",
            Self::InteractionRequired => "interaction_required",
            Self::Misconfigured => "misconfigured",
            Self::InvalidAnswer => "invalid_answer",
            Self::ProviderFault => "provider_fault",
            Self::CookiesOff => "cookies_off",
        }
    }

    /// What the person reads.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Stale => "This sign-in was started too long ago or in another browser.",
            Self::Replayed => "This sign-in was already completed once.",
            Self::Cancelled => "The sign-in was cancelled before it was complete.",
            Self::NotAssigned => "Your account has not been given access to this service.",
            Self::WrongTenant => "Your account belongs to an organisation that is not accepted here.",
            Self::AccountRefused => "Microsoft does not let this account sign in.",
            Self::InteractionRequired => "Microsoft needs you to confirm your sign-in.",
            Self::Misconfigured => "This service is not set up correctly with Microsoft.",
            Self::InvalidAnswer => "The answer from Microsoft could not be verified, so it was refused.",
            Self::ProviderFault => "Microsoft reported a problem while signing you in.",
            Self::CookiesOff => "Your browser did not send back the cookie that signing in needs.",
        }
    }

    /// What the person can do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Stale | Self::Replayed | Self::Cancelled | Self::InteractionRequired => {
                "Please start again from the page you wanted to open."
            }
            Self::NotAssigned => "Ask your administrator to assign the application to you.",
            Self::WrongTenant => "Sign in with your work account, or ask your administrator.",
            Self::AccountRefused => "Ask your administrator about your account.",
            Self::Misconfigured => "Your administrator needs to mend this; trying again will not help.",
            Self::InvalidAnswer => "Try again; if it happens twice, give the request id to your administrator.",
            Self::ProviderFault => "Try again in a moment.",
            Self::CookiesOff => "Allow cookies for this site, then try again.",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Stale | Self::Replayed | Self::Cancelled | Self::InteractionRequired | Self::CookiesOff => {
                StatusCode::BAD_REQUEST
            }
            Self::NotAssigned | Self::WrongTenant | Self::AccountRefused => StatusCode::FORBIDDEN,
            Self::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
            Self::InvalidAnswer | Self::ProviderFault => StatusCode::BAD_GATEWAY,
        }
    }
}

/// Why a step-up came to nothing, as the person is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepUpProblem {
    /// The provider did not vouch for what was asked.
    NotConfirmed,
    /// Somebody else answered.
    OtherPerson,
    /// The person pressed "cancel" at the provider.
    Cancelled,
    /// The provider refused.
    Refused,
}

impl StepUpProblem {
    /// The word in the JSON twin.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotConfirmed => "not_confirmed",
            Self::OtherPerson => "other_person",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
        }
    }

    /// What the person reads.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotConfirmed => "Your organisation did not confirm the stronger sign-in.",
            Self::OtherPerson => "The stronger sign-in was done with another account, so it does not count here.",
            Self::Cancelled => "The stronger sign-in was cancelled before it was complete.",
            Self::Refused => "Microsoft did not let you complete the stronger sign-in.",
        }
    }

    /// What the person can do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NotConfirmed | Self::Refused => {
                "Try again; if it happens twice, give the request id to your administrator."
            }
            Self::OtherPerson => "Try again with the account you are signed in with here.",
            Self::Cancelled => "Try again, or go on with what is open to you without it.",
        }
    }
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caution {
    /// An access rule warns.
    Rule,
    /// The account may be at risk.
    Risk,
}

impl Caution {
    /// The word in the JSON twin.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Risk => "risk",
        }
    }

    /// What the person reads.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Rule => "Your organisation asks you to take care here. What you do is logged.",
            Self::Risk => {
                "Your account may be at risk. If a sign-in or a message seemed odd to you lately, stop here and ask."
            }
        }
    }
}

/// What was wrong with a request, as the word its refuser uses in metrics; only lower case letters, digits and `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRequestWord(&'static str);

impl BadRequestWord {
    /// A word of a closed list in the program text.
    #[must_use]
    pub const fn new(word: &'static str) -> Self {
        Self(word)
    }

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.0
    }
}
