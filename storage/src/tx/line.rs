//! A transaction's connection, what was put on its way there, and how far it is.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use crate::Error;
use crate::ask::{Answered, Question, send};
use crate::error::Unavailable;
use crate::lend::Lease;

/// A transaction's connection, and how far it is.
pub(super) struct Line {
    // There until the end: commit, rollback or drop takes it.
    lease: Option<Lease>,
    /// What was put and not sent. Its answers come first.
    ahead: Vec<Question>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was sent.
    New,
    /// BEGIN was sent, and not all was heard of what went with it.
    Beginning,
    /// The fence has let it pass.
    Begun,
    /// Something failed: nothing after it counts.
    Failed,
}

impl Line {
    pub(super) const fn new(lease: Lease) -> Self {
        Self { lease: Some(lease), ahead: Vec::new(), stage: Stage::New }
    }

    pub(super) const fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) const fn is_now(&mut self, stage: Stage) {
        self.stage = stage;
    }

    /// Puts a statement on its way; it goes with the next exchange.
    pub(super) async fn put(
        &mut self,
        act: &'static str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(), Error> {
        let question = self.question(act, sql, params).await?;
        self.ahead.push(question);
        Ok(())
    }

    /// A statement that goes with the next exchange if it is given to it.
    pub(super) async fn question(
        &mut self,
        act: &'static str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Question, Error> {
        let question = self.lease(act)?.question(act, sql, params).await;
        if question.is_err() {
            self.stage = Stage::Failed;
        }
        question
    }

    /// How many statements go with the next exchange before what is given to it.
    pub(super) const fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// Sends what was put, and these. Returns the answers up to the first failure, and that failure.
    pub(super) async fn exchange(
        &mut self,
        act: &'static str,
        questions: Vec<Question>,
    ) -> Result<(Vec<Answered>, Option<tokio_postgres::Error>), Error> {
        if self.stage == Stage::Beginning {
            // Whoever asked first has given up, and with it what the fence had to say.
            return Err(Error::Unavailable(Unavailable::Slow));
        }
        if self.stage == Stage::New {
            self.stage = Stage::Beginning;
        }
        let all: Vec<_> = self.ahead.drain(..).chain(questions).collect();
        let (answers, failed) = send(self.lease(act)?.client(), all).await.all().await;
        if failed.is_some() {
            self.stage = Stage::Failed;
        }
        Ok((answers, failed))
    }

    fn lease(&self, act: &'static str) -> Result<&Lease, Error> {
        if self.stage == Stage::Failed {
            return Err(Error::Sql { act, code: SqlState::IN_FAILED_SQL_TRANSACTION.code().to_owned() });
        }
        self.lease.as_ref().ok_or(Error::Unavailable(Unavailable::Lost))
    }

    /// The connection, for good.
    pub(super) const fn take(&mut self) -> Option<Lease> {
        self.lease.take()
    }
}
