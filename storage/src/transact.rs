//! A transaction that is repeated when it gave way to another.

use residency_policy::Permit;

use crate::{Error, RegionPool, RegionTx, Retriable, Scope};

impl RegionPool {
    /// Runs `body`, which ends its transaction itself, and repeats it at most three times when it gave way to
    /// another transaction (SQLSTATE 40001, 40P01). The fence speaks with the first statement.
    pub async fn transact<T, E, F, Fut>(
        &self,
        permit: &Permit,
        scope: &Scope,
        act: &'static str,
        body: F,
    ) -> Result<T, E>
    where
        F: Fn(RegionTx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<Error> + Retriable,
    {
        let mut again = 3;
        loop {
            let tx = RegionTx::start(self, permit, scope, act).await?;
            match body(tx).await {
                Err(error) if error.is_retriable() && again > 0 => again -= 1,
                ended => return ended,
            }
        }
    }
}
