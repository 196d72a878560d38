//! What a session has passed besides the sign-in: step-ups and warnings, durable before they count.

use std::sync::Arc;

use super::{Session, SessionError, Sessions};
use crate::facts::{Acknowledged, Passed, Proof, UnixTime};

/// Warnings remembered per session; the oldest is forgotten, and then shown again.
const MAX_ACKNOWLEDGED: usize = 64;

impl Sessions {
    /// Notes step-ups that the provider vouched for. Durable when it returns, and seen by every connection.
    ///
    /// # Errors
    /// When the store cannot write, or the session is over; nothing has been proven then.
    pub async fn proved(&self, session: &Arc<Session>, proofs: &[Proof]) -> Result<(), SessionError> {
        self.pass(session, |passed| proofs.iter().for_each(|proof| add_proof(passed, *proof))).await
    }

    /// Notes that the person went on from the warning of `rule`. Durable when it returns, and seen by every connection.
    ///
    /// # Errors
    /// As [`Sessions::proved`].
    pub async fn acknowledged(
        &self,
        session: &Arc<Session>,
        rule: &Arc<str>,
        at: UnixTime,
    ) -> Result<(), SessionError> {
        let line = Acknowledged { rule: Arc::clone(rule), at };
        self.pass(session, |passed| add_acknowledged(passed, line)).await
    }

    async fn pass(&self, session: &Arc<Session>, change: impl FnOnce(&mut Passed) + Send) -> Result<(), SessionError> {
        // A silent refresh writes the same record.
        let _turn = session.writing.lock().await;
        if session.cut.is_raised() || self.inner.index().entry(&session.key).is_none() {
            return Err(SessionError::Over);
        }
        let mut passed = Passed::clone(&session.passed());
        change(&mut passed);
        self.rewrite(&session.key, |record| record.set_passed(&passed)).await?;
        session.pass(passed);
        if session.cut.is_raised() { Err(SessionError::Over) } else { Ok(()) }
    }
}

/// The newest of each context stays; there are 99 at most.
fn add_proof(passed: &mut Passed, proof: Proof) {
    passed.proofs.retain(|known| known.context != proof.context);
    passed.proofs.push(proof);
}

/// The newest of each rule stays, oldest first.
fn add_acknowledged(passed: &mut Passed, line: Acknowledged) {
    passed.acknowledged.retain(|known| known.rule != line.rule);
    passed.acknowledged.push(line);
    let surplus = passed.acknowledged.len().saturating_sub(MAX_ACKNOWLEDGED);
    passed.acknowledged.drain(..surplus);
}
