//! What a problem says is a constant of the program.
use tests::walls::residency_policy::{Problem, ProblemKind};

pub fn refuse(name: &str) -> Problem {
    #[cfg(not(wall))]
    {
        let _ = name;
        Problem::new(ProblemKind::Invalid).detail("the name is too long")
    }
    #[cfg(wall)]
    { Problem::new(ProblemKind::Invalid).detail(&format!("{name} is too long")) } //~ E0716
}
