//! Only an error that says itself what may be told becomes an answer.
use tests::walls::{anyhow, node_access::Refused, residency_policy::Problem};

pub fn answer(error: anyhow::Error, problem: Problem) -> Refused {
    #[cfg(not(wall))]
    {
        let _ = error;
        Refused::from(problem)
    }
    #[cfg(wall)]
    { let _ = problem; Refused::from(error) } //~ E0277
}
