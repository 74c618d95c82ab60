//! The access matrix as people read it: written down apart from the policies, compared with them cell by cell, and
//! told again wherever somebody asks what holds.

use std::str::FromStr;
use std::sync::LazyLock;

use residency_policy::{Purpose, words};

use crate::{Action, Entity, Principal, Relationship, Request, Shape};

const MATRIX: &str = include_str!("../matrix.tsv");

words! {
    /// What must be there besides a role, a purpose and a relationship.
    Need, NotANeed, "a fact that the matrix asks for" {
        /// A recorded legal basis (45 CFR 164.504(e), 164.508).
        Basis = "basis",
        /// Authority to practise where the patient is.
        Licence = "licence",
        /// A fresh second factor.
        Assurance = "assurance",
    }
}

/// One line of the matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What stands in the file, cell by cell.
    pub(crate) cells: [&'static str; 8],
    /// Who.
    pub principal: Principal,
    /// On what.
    pub entity: Entity,
    /// Does what.
    pub actions: Vec<Action>,
    /// Why. None where it is no PHI, for which any purpose will do.
    pub purposes: Vec<Purpose>,
    /// In which relationships. Who is of the same organisation may do what somebody may to whom a thing of it is
    /// assigned.
    pub relationships: Vec<Relationship>,
    /// How much is shown.
    pub shape: Shape,
    /// What must be done with an answer, as the policies spell it.
    pub obligations: Vec<String>,
    /// What must be there besides.
    pub needs: Vec<Need>,
}

impl Line {
    fn read(text: &'static str) -> Option<Self> {
        let cells: [&'static str; 8] = text.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let [role, entity, actions, purposes, relationship, shape, obligations, needs] = cells;
        Some(Self {
            cells,
            principal: role.parse().ok()?,
            entity: entity.parse().ok()?,
            actions: listed(actions)?,
            purposes: listed(purposes)?,
            relationships: match relationship {
                "any" => Relationship::ALL.to_vec(),
                "organisation" => vec![Relationship::Organisation, Relationship::Assigned],
                one => listed(one)?,
            },
            shape: shape.parse().ok()?,
            obligations: listed(obligations)?,
            needs: listed(needs)?,
        })
    }

    /// Whether it speaks of a question. What it needs besides, and what no permit overrides, is not looked at: a
    /// question that is covered may still be refused.
    pub fn covers(&self, request: &Request) -> bool {
        let Request { principal, action, entity, facts } = request;
        self.principal == *principal
            && self.entity == *entity
            && self.actions.contains(action)
            && self.relationships.contains(&facts.relationship)
            && (!entity.is_phi() || facts.purpose.is_some_and(|purpose| self.purposes.contains(&purpose)))
    }

    /// Its cells with spaces between them.
    pub fn text(&self) -> String {
        self.cells.join(" ")
    }
}

/// The words of a cell; `-` stands for none.
fn listed<T: FromStr>(cell: &str) -> Option<Vec<T>> {
    cell.split(',').filter(|word| *word != "-").map(|word| word.parse().ok()).collect()
}

/// The lines of a file without its comments, the head first.
pub(crate) fn rows(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

/// The matrix of the policies that come with the product.
pub fn matrix() -> &'static [Line] {
    // That every line is read is shown by a test.
    static LINES: LazyLock<Vec<Line>> = LazyLock::new(|| rows(MATRIX).skip(1).filter_map(Line::read).collect());
    &LINES
}

/// The line of the matrix that covers a question. Where none does, it is refused.
pub fn covering(request: &Request) -> Option<&'static Line> {
    matrix().iter().find(|line| line.covers(request))
}

#[cfg(test)]
mod tests {
    use residency_policy::Jurisdiction;

    use super::*;
    use crate::Facts;

    #[test]
    fn every_line_of_the_file_is_read_and_a_misspelt_one_is_not() {
        let mut all = rows(MATRIX);
        let head = "role\tentity\tactions\tpurposes\trelationship\tshape\tobligations\tneeds";
        assert_eq!(all.next(), Some(head));
        let wrong: Vec<_> = all.filter(|text| Line::read(text).is_none()).collect();
        assert_eq!(wrong, [""; 0]);
        assert_eq!(matrix().len() + 1, rows(MATRIX).count());
        let whole = "provider\tclaim\tread,list\tHPAYMT\torganisation\tfull\t-\tlicence";
        assert!(Line::read(whole).is_some(), "the control");
        for (right, wrong) in [
            ("provider", "provder"),
            ("claim", "clam"),
            ("list", "lists"),
            ("HPAYMT", "PAY"),
            ("organisation", "org"),
            ("full", "all"),
            ("licence", "license"),
            ("\t-", ""),
        ] {
            let text: &'static str = Box::leak(whole.replacen(right, wrong, 1).into_boxed_str());
            assert_eq!(Line::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_question_is_covered_by_the_line_of_its_purpose_and_relationship() {
        let home: Jurisdiction = "US-TX".parse().expect("a jurisdiction");
        let asks = |purpose, relationship| {
            let facts = Facts { purpose, relationship, ..Facts::least(home, 20_261_122) };
            let principal: Principal = "provider".parse().expect("a principal");
            let (action, entity) = (Action::Read, Entity::Encounter);
            covering(&Request { principal, action, entity, facts }).map(Line::text)
        };
        let own =
            "provider encounter create,read,list,update,sign,annotate TREAT organisation full - -".to_owned();
        assert_eq!(asks(Some(Purpose::Treat), Relationship::Assigned), Some(own));
        let broken = asks(Some(Purpose::BreakTheGlass), Relationship::BreakGlass).expect("a line");
        assert!(broken.contains("ETREAT,BTG break-glass"), "{broken}");
        assert_eq!(asks(Some(Purpose::Marketing), Relationship::Organisation), None);
        assert_eq!(asks(None, Relationship::Organisation), None, "PHI takes a purpose");
        assert_eq!(asks(Some(Purpose::Treat), Relationship::None), None);
    }
}
