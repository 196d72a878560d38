//! What people do to tasks: let them go, call them off, take them back.

use std::sync::Arc;

use super::brakes::Scene;
use super::order::{By, Order};
use super::task::{TaskId, TaskState};
use super::{Actions, Refused, Task, carry, most_open, whole};

impl Actions {
    /// Lets a task go that waits for another person, or that the dry run only proposed.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn approve(&self, id: TaskId, by: &Arc<str>) -> Result<Task, Refused> {
        let (actions, by) = (self.clone(), Arc::clone(by));
        whole(async move { actions.approve_now(id, &by).await }).await
    }

    async fn approve_now(&self, id: TaskId, by: &Arc<str>) -> Result<Task, Refused> {
        let settings = self.settings();
        let task = {
            let mut ledger = self.inner.ledger.lock().await;
            let mut task = ledger.get(id).cloned().ok_or(Refused::UnknownTask)?;
            if !matches!(task.state, TaskState::AwaitingApproval | TaskState::Proposed) {
                return Err(Refused::WrongState(task.state.word()));
            }
            if matches!(&task.order.by, By::Person(name) if !are_two(name, by)) {
                return Err(Refused::SamePerson);
            }
            let (standing, now) = (self.standing(task.order.user), self.inner.clock.now());
            if self.is_outdated(&task, &standing) {
                return Err(Refused::OutOfDate);
            }
            if task.order.by.is_automatic() {
                let scene = Scene { settings: &settings, ledger: &ledger, standing: &standing, now };
                if let Some(brake) = scene.lasting(&task.order) {
                    return Err(Refused::Braked(brake));
                }
            }
            if task.state == TaskState::Proposed && ledger.open_tasks() >= most_open(false) {
                return Err(Refused::Full);
            }
            task.approved_by = Some(Arc::clone(by));
            task.started = Some(now);
            task.mark(now, format!("approved by {by}"));
            task.turn(now, TaskState::InProgress { attempt: 0, next: now });
            ledger.change(task.clone()).await?;
            ledger.begin(id);
            task
        };
        self.record(&task);
        Ok(self.let_go(task).await)
    }

    /// Calls a task off that has not been done yet. What this gateway did already stays done.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn cancel(&self, id: TaskId, by: &Arc<str>) -> Result<Task, Refused> {
        let (actions, by) = (self.clone(), Arc::clone(by));
        whole(async move { actions.cancel_now(id, &by).await }).await
    }

    async fn cancel_now(&self, id: TaskId, by: &Arc<str>) -> Result<Task, Refused> {
        let task = {
            let mut ledger = self.inner.ledger.lock().await;
            let mut task = ledger.get(id).cloned().ok_or(Refused::UnknownTask)?;
            if !task.state.is_open() && !task.state.is_intention() {
                return Err(Refused::WrongState(task.state.word()));
            }
            if ledger.is_running(id) {
                return Err(Refused::UnderWay);
            }
            task.turn(self.inner.clock.now(), TaskState::Cancelled { by: Arc::clone(by) });
            ledger.change(task.clone()).await?;
            task
        };
        self.record(&task);
        Ok(task)
    }

    /// Orders what takes a task back, in the name of a person.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn undo(&self, id: TaskId, by: &Arc<str>) -> Result<Task, Refused> {
        let order = {
            let ledger = self.inner.ledger.lock().await;
            let task = ledger.get(id).ok_or(Refused::UnknownTask)?;
            if !matches!(task.state, TaskState::Successful { .. }) {
                return Err(Refused::WrongState(task.state.word()));
            }
            if let Some(undone) = task.undone_by {
                return Err(Refused::AlreadyUndone(undone));
            }
            let kind = carry::taking_back(task).ok_or(Refused::CannotBeUndone(task.order.kind))?;
            Order { undoes: Some(id), ..Order::of_person(kind, task.order.user, Arc::clone(by)) }
        };
        self.submit(order).await
    }
}

/// Whether two names are certainly two people. Whoever holds the token may be anybody, the other one too.
fn are_two(one: &str, other: &str) -> bool {
    one != other && one != By::TOKEN && other != By::TOKEN
}
