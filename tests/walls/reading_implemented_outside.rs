//! What hands out proof of a record is storage's own.
use tests::walls::storage::{Access, Ask, Error, Reading, RegionRead, Row, Scope, Seen};

pub struct Mine(pub RegionRead);

impl Mine {
    pub async fn seen(self, accesses: &[Access]) -> Result<Seen, Error> {
        self.0.disclose(accesses).await
    }
}

#[cfg(wall)]
impl Reading for Mine { //~ E0277
    async fn query_all(&self, asks: &[Ask<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        self.0.query_all(asks).await
    }

    fn scope(&self) -> &Scope {
        self.0.scope()
    }

    fn patient(&self) -> Option<tests::walls::residency_policy::PatientId> {
        self.0.patient()
    }

    async fn record(self, accesses: &[Access]) -> Result<Seen, Error> {
        self.0.disclose(accesses).await
    }
}
