//! A permit is used once for what it was decided for.
use tests::walls::residency_policy::Permit;

pub fn two(one: Permit) -> (Permit, u8) {
    #[cfg(not(wall))]
    {
        (one, 2)
    }
    #[cfg(wall)]
    { let two: Permit = Permit::clone(&one); (two, 2) } //~ E0277
}
