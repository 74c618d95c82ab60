//! The four places. They are four types because folding any two together is how residency leaks.

use serde::{Deserialize, Serialize};

use crate::{Jurisdiction, Region};

/// Where a patient's PHI rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Home(pub Region);

/// Where the patient physically is at the visit: licensure, consent text and prescribing follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceJurisdiction(pub Jurisdiction);

/// Where the person or system that asks is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Accessor(pub Jurisdiction);

/// Where the bytes enter the cluster. It is declared in the router's configuration, not attested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ingress(pub Jurisdiction);
