//! Connections to this region's database: made when they are needed, looked at, kept, and lent.

use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, QueueMode, RecyclingMethod, Runtime,
    Status,
};
use futures::future::{join, try_join_all};
use residency_policy::{Label, Region};
use storage_keys::connect::Server;
use tokio_postgres::types::ToSql;

use crate::ask::{self, Answered, Encoded, Question};
use crate::error::Unavailable;
use crate::{Error, OpenError, stamp};

/// As which the connections are known to the server.
pub(crate) const APPLICATION: &str = "domicile-node";

/// What all connections of a pool have in common.
pub(crate) struct Terms<'a> {
    /// The database, and who connects.
    pub(crate) server: &'a Server,
    /// Given to the server as in `-c name=value`.
    pub(crate) options: &'a str,
    /// Whose database it must be.
    pub(crate) whose: (Label, Region),
    /// How long waiting for a connection may take, and making one.
    pub(crate) wait: Duration,
    /// Statements that every connection is going to need.
    pub(crate) ahead: &'static [&'static str],
}

/// At most so many connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    pool: Pool,
    wait: Duration,
}

impl Connections {
    pub(crate) fn new(terms: &Terms<'_>, most: usize) -> Result<Self, OpenError> {
        let Terms { server, options, whose, wait, ahead } = *terms;
        // A connection that comes back is as it was lent, so it is only asked whether it still is one.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(server.config(APPLICATION, options), server.tls()?, recycling);
        let pool = Pool::builder(manager)
            .max_size(most)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(wait))
            .create_timeout(Some(wait))
            .recycle_timeout(Some(wait))
            // The one that was used last is used next: its memory is warm, at both ends.
            .queue_mode(QueueMode::Lifo)
            .post_create(Hook::async_fn(move |client, _| Box::pin(make_ready(client, whose, ahead))))
            .build()
            .map_err(|error| OpenError::Settings(error.to_string()))?;
        Ok(Self { pool, wait })
    }

    /// One of them, for oneself.
    pub(crate) async fn lease(&self) -> Result<Lease, Error> {
        // A new one is also looked at and made ready, for which the pool itself has no bound.
        let lent = tokio::time::timeout(self.wait * 2, self.pool.get()).await;
        let lent = lent.map_err(|_| Error::Unavailable(Unavailable::Slow))?;
        lent.map(|object| Lease(Some(object))).map_err(|error| Error::from_pool(&error))
    }

    pub(crate) fn status(&self) -> Status {
        self.pool.status()
    }

    /// Lends none any more, and lets go of those that are not in use.
    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

/// A name may lead to another server after a failover: each connection is looked at, not only the first.
async fn make_ready(
    client: &ClientWrapper,
    (cluster, region): (Label, Region),
    ahead: &[&str],
) -> Result<(), HookError> {
    // One round trip for all of it.
    let prepared = try_join_all(ahead.iter().map(|sql| client.prepare_cached(sql)));
    let (stamp, prepared) = join(stamp::read_stamp(client), prepared).await;
    if !stamp.map_err(HookError::Backend)?.is_some_and(|stamp| stamp::matches(&stamp, cluster, region)) {
        return Err(HookError::message("the database is not stamped as this region's"));
    }
    prepared.map(drop).map_err(HookError::Backend)
}

/// One connection. It is closed when this is dropped, so that what was begun on it and not ended is undone, unless it
/// was said that it is as it was.
pub(crate) struct Lease(Option<Object>);

impl Lease {
    /// The connection is in no transaction, and owes no answer that anybody would wait behind.
    pub(crate) fn give_back(mut self) {
        drop(self.0.take());
    }

    pub(crate) fn client(&self) -> &ClientWrapper {
        // Only `give_back` and `drop` take it, and both end this.
        self.0.as_ref().expect("a lease has its connection until its end")
    }

    /// One statement alone, in no transaction but its own.
    pub(crate) async fn ask(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Answered, tokio_postgres::Error> {
        let statement = self.client().prepare_cached(sql).await?;
        ask::ask(self.client(), &statement, params.iter().copied()).await
    }

    /// A statement that will travel with others.
    pub(crate) async fn question(
        &self,
        act: &'static str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Question, Error> {
        let prepared = self.client().prepare_cached(sql).await;
        let statement = prepared.map_err(|error| Error::from_driver(&error, act))?;
        let params = Encoded::all(statement.params(), params).ok_or(Error::misused(act))?;
        Ok(Question { statement, params })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}
