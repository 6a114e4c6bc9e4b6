//! The lifecycle of a stored object: the record says what the kernel may hold of it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{
    Error, Kind,
    api::SandboxState,
    plan::{PLAN_VERSION, Plan},
};

/// A plan that is stored, with the version of its operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredPlan {
    /// [`PLAN_VERSION`] of the release that wrote it.
    pub version: u32,
    /// The plan.
    pub plan: Plan,
}

/// Of another release's only the version is read: its operations may be of other kinds.
impl<'de> Deserialize<'de> for StoredPlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct AnyPlan {
            version: u32,
            plan: Value,
        }
        let AnyPlan { version, plan } = AnyPlan::deserialize(deserializer)?;
        let plan = match version {
            PLAN_VERSION => serde_json::from_value(plan).map_err(serde::de::Error::custom)?,
            _ => Plan::default(),
        };
        Ok(Self { version, plan })
    }
}

impl From<Plan> for StoredPlan {
    fn from(plan: Plan) -> Self {
        Self { version: PLAN_VERSION, plan }
    }
}

/// How far an object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// Its choices are made and held; the kernel may have none, some or all of it. Found so at start, it is torn down.
    Reserved,
    /// All of it is in the kernel. Found so at start, it is repaired.
    Programmed,
    /// It is going; the kernel may still have what `remaining` takes away. Found so at start, that is resumed.
    PartlyTorn {
        /// What is left to do.
        remaining: StoredPlan,
        /// Why it stopped; absent while it is on its way.
        error: Option<String>,
    },
}

impl Lifecycle {
    /// The kernel has all of it.
    ///
    /// # Errors
    /// When it was not *Reserved*: somebody removed it meanwhile.
    pub fn programmed(self) -> Result<Self, Error> {
        match self {
            Self::Reserved => Ok(Self::Programmed),
            Self::Programmed => Err(Error::new(Kind::Internal, "it is programmed already")),
            Self::PartlyTorn { .. } => Err(Error::new(Kind::Conflict, "it is being removed")),
        }
    }

    /// It is to go: `teardown` is what has to be done. What is being torn down already keeps what it has left, unless
    /// another release wrote that.
    #[must_use]
    pub fn tearing(self, teardown: Plan) -> Self {
        match self {
            Self::PartlyTorn { remaining, .. } if remaining.version == PLAN_VERSION => {
                Self::PartlyTorn { remaining, error: None }
            }
            _ => Self::PartlyTorn { remaining: teardown.into(), error: None },
        }
    }

    /// Taking it down, or undoing its making, stopped: `remaining` is left to do.
    #[must_use]
    pub fn stuck(self, remaining: Plan, error: String) -> Self {
        Self::PartlyTorn { remaining: remaining.into(), error: Some(error) }
    }

    /// As the API shows it.
    pub const fn to_api(&self) -> SandboxState {
        match self {
            Self::Reserved => SandboxState::Reserved,
            Self::Programmed => SandboxState::Programmed,
            Self::PartlyTorn { .. } => SandboxState::PartlyTorn,
        }
    }

    /// What is left to do until it is gone, while it is going. None as well if another release said that: it has to be
    /// found out anew.
    pub const fn remaining(&self) -> Option<&Plan> {
        match self {
            Self::PartlyTorn { remaining: StoredPlan { version: PLAN_VERSION, plan }, .. } => Some(plan),
            Self::Reserved | Self::Programmed | Self::PartlyTorn { .. } => None,
        }
    }

    /// Whether it is going.
    pub const fn is_going(&self) -> bool {
        matches!(self, Self::PartlyTorn { .. })
    }

    /// Whether it was going and stopped.
    pub const fn is_stuck(&self) -> bool {
        matches!(self, Self::PartlyTorn { error: Some(_), .. })
    }

    /// Whether the kernel should hold all of it.
    pub const fn is_programmed(&self) -> bool {
        matches!(self, Self::Programmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Namespace, Resource};

    fn plan(sandbox: &str) -> Plan {
        Plan::teardown(&[Resource::Namespace(Namespace { sandbox: sandbox.parse().expect("a valid id") })])
    }

    #[test]
    fn only_what_is_reserved_becomes_programmed() {
        assert_eq!(Lifecycle::Reserved.programmed(), Ok(Lifecycle::Programmed));
        assert!(Lifecycle::Programmed.programmed().is_err());
        let going = Lifecycle::Programmed.tearing(plan("a"));
        assert_eq!(going.programmed().map_err(|error| error.kind), Err(Kind::Conflict));
    }

    #[test]
    fn what_is_left_is_kept_unless_another_release_wrote_it() {
        let stuck = Lifecycle::Programmed.stuck(plan("a"), "EBUSY".to_owned());
        assert_eq!(stuck.clone().tearing(plan("b")).remaining(), Some(&plan("a")));
        let Lifecycle::PartlyTorn { remaining, error } = stuck else { panic!("it is stuck") };
        let foreign = StoredPlan { version: PLAN_VERSION + 1, ..remaining };
        let stuck = Lifecycle::PartlyTorn { remaining: foreign, error };
        assert_eq!(stuck.remaining(), None);
        assert_eq!(stuck.tearing(plan("b")).remaining(), Some(&plan("b")));
    }

    #[test]
    fn a_plan_of_another_release_is_read_as_one() {
        let of_version_1 =
            r#"{"partly_torn":{"remaining":{"version":1,"plan":{"ops":[{"drop_namespace":"a"}]}},"error":null}}"#;
        let lifecycle: Lifecycle = serde_json::from_str(of_version_1).expect("it is read");
        assert!(lifecycle.is_going() && lifecycle.remaining().is_none());
        let own = Lifecycle::Programmed.tearing(plan("a"));
        let read: Lifecycle = serde_json::from_str(&serde_json::to_string(&own).expect("JSON")).expect("it is read");
        assert_eq!(read, own);
    }
}
