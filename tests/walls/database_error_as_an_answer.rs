//! A database's own error, whose DETAIL holds values, is none.
use tests::walls::{node_access::Refused, residency_policy::Problem, tokio_postgres};

pub fn answer(error: tokio_postgres::Error, problem: Problem) -> Refused {
    #[cfg(not(wall))]
    {
        let _ = error;
        Refused::from(problem)
    }
    #[cfg(wall)]
    { let _ = problem; Refused::from(error) } //~ E0277
}
