//! Account actions and their brakes.

use std::time::Duration;

use crate::config::file::{self, ApprovalWord};
use crate::facts::{ObjectId, TenantId, UserKey};
use crate::risk_control::{Approval, Exempt, Settings};

use super::{Build, days};

impl Build<'_> {
    /// `tenants` are those whose people may sign in.
    pub(super) fn actions(&mut self, file: &file::Actions, tenants: &[TenantId]) -> Settings {
        let mut exempt = Exempt::default();
        for text in &file.exempt_users {
            match text.parse::<UserKey>() {
                Ok(user) => {
                    if !tenants.contains(&user.tenant) {
                        self.warn(
                            "actions.exempt_users",
                            text.span(),
                            format!("{user} is of a tenant that is not here"),
                        );
                    }
                    exempt.users.insert(user);
                }
                Err(error) => {
                    let message = format!("expected tenant id:object id, \"{}\" is {error}", **text);
                    self.add("actions.exempt_users", text.span(), message);
                }
            }
        }
        for text in &file.exempt_groups {
            match text.parse::<ObjectId>() {
                Ok(group) => drop(exempt.groups.insert(group)),
                Err(error) => {
                    self.add("actions.exempt_groups", text.span(), format!("\"{}\" is {error}", **text));
                }
            }
        }
        let second = Duration::from_secs(1);
        Settings {
            dry_run: file.dry_run,
            approval: match *file.approval.value() {
                ApprovalWord::None => Approval::None,
                ApprovalWord::Automatic => Approval::Automatic,
                ApprovalWord::All => Approval::All,
            },
            quota_per_hour: *file.quota_per_hour.value(),
            cool_down: self.span("actions.cool_down", &file.cool_down, Duration::ZERO, days(30)),
            undo_after: self.span("actions.undo_after", &file.undo_after, Duration::ZERO, days(365)),
            retries: *file.retries.value(),
            retention: self.span("actions.retention", &file.retention, days(1), days(3650)),
            exempt,
            reset_with_mfa: file.reset_with_mfa,
            watch: self.span("actions.watch", &file.watch, second, days(30)),
        }
    }
}
