//! Who may practise where: cases from the law, and what must stay true of every answer, whatever the licences are.
//!
//! Each property takes the decider as an argument, and each has mutants that it must catch.

mod attested;
mod cases;
mod properties;
mod situations;
