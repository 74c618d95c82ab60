//! So is the pointer to a wrong field.
use tests::walls::residency_policy::{Problem, ProblemKind};

pub fn refuse(name: String) -> Problem {
    #[cfg(not(wall))]
    {
        let _ = name;
        Problem::new(ProblemKind::Invalid).field("/given_name", "length", "1 to 100 characters")
    }
    #[cfg(wall)]
    { Problem::new(ProblemKind::Invalid).field("/given_name", "length", name) } //~ E0308
}
