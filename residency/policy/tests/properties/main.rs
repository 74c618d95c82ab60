//! What must stay true of every decision, whatever the rules and the directory say.
//!
//! Each property takes the decider as an argument, and each has mutants: deciders with one defect, which the same
//! property must catch. A property that no mutant breaks would be no evidence.

mod home;
mod situations;
mod strictness;
