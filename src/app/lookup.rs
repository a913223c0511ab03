//! Looks callers up, for all calls that wait.

use super::error::{Error, Result};
use super::together::{Turn, Worker};
use crate::domain::{Action, Role, Standing};
use crate::store;
use crate::store::callers::{self, Found, Question};
use crate::store::connection::Own;
use crate::store::pool::Engine;

/// With a connection of its own.
pub(super) struct CallerLookup(pub Own);

impl Worker for CallerLookup {
    const NAME: &'static str = "caller lookup";
    type Task = Question;
    type Outcome = Found;

    async fn work(&mut self, questions: Vec<Question>, _turn: &Turn) -> Vec<Result<Found>> {
        let may_be_broken = self.0.is_connected();
        let mut found = self.find(&questions).await;
        if may_be_broken && found.as_ref().is_err_and(store::Error::breaks_connection) {
            found = self.find(&questions).await;
        }
        match found {
            Ok(found) => found.into_iter().map(Ok).collect(),
            Err(error) => {
                let error = Error::from(error);
                questions.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    async fn end(mut self) {
        self.0.close().await;
    }
}

impl CallerLookup {
    async fn find(&mut self, questions: &[Question]) -> store::Result<Vec<Found>> {
        let sees = |role: &Role| Standing::Member(*role).may(Action::SeeInvitations);
        let seeing = Role::ALL.into_iter().filter(sees).collect::<Vec<_>>();
        match self.0.engine() {
            Engine::Single => self.0.run(async |c| callers::find(c, questions, &seeing).await).await,
            Engine::Distributed => self.0.run(async |c| callers::apart::find(c, questions, &seeing).await).await,
        }
    }
}
