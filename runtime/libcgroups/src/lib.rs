//! Stands in for the crate of this name, by which libcontainer makes and joins cgroups: here it leaves them alone. `runtime`
//! makes them itself, before libcontainer is called, and moves processes while it works.
//!
//! The real one reads the table of all mounts once for each of twelve controllers, and moves the new process into every
//! hierarchy that it finds while the start waits. This has only what libcontainer calls.
#![forbid(unsafe_code)]

/// What libcontainer imports; the names are its.
pub mod common {
    use std::path::PathBuf;

    use nix::unistd::Pid;

    /// How cgroups are mounted.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum CgroupSetup {
        /// v1 beside v2.
        Hybrid,
        /// v1.
        Legacy,
        /// v2.
        Unified,
    }

    /// Asked for when a mount of type `cgroup` is to be made, which `runtime` asks of nobody.
    ///
    /// # Errors
    /// Never.
    pub const fn get_cgroup_setup() -> Result<CgroupSetup, GetCgroupSetupError> {
        Ok(CgroupSetup::Unified)
    }

    /// Which cgroup it would be.
    #[derive(Debug, Clone)]
    pub struct CgroupConfig {
        /// Its path.
        pub cgroup_path: PathBuf,
        /// Whether systemd would make it.
        pub systemd_cgroup: bool,
        /// Whose it would be.
        pub container_name: String,
    }

    /// A cgroup that somebody else sees to.
    #[derive(Debug, Clone, Copy)]
    pub struct AnyCgroupManager;

    /// A cgroup that somebody else sees to.
    ///
    /// # Errors
    /// Never.
    pub fn create_cgroup_manager(_config: CgroupConfig) -> Result<AnyCgroupManager, CreateCgroupSetupError> {
        Ok(AnyCgroupManager)
    }

    impl AnyCgroupManager {
        /// For a user without rights.
        #[must_use]
        pub const fn with_rootless(self, _rootless: bool) -> Self {
            self
        }
    }

    /// Limits that would be set.
    #[derive(Debug, Clone, Copy)]
    pub struct ControllerOpt<'a, Resources> {
        /// The limits.
        pub resources: &'a Resources,
        /// Whether it would be frozen.
        pub freezer_state: Option<FreezerState>,
        /// How soon it would be killed for memory.
        pub oom_score_adj: Option<i32>,
        /// Whether it would never be.
        pub disable_oom_killer: bool,
    }

    /// Whether a cgroup is frozen.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum FreezerState {
        /// Nobody said.
        Undefined,
        /// It is.
        Frozen,
        /// It isn't.
        Thawed,
    }

    /// What would be done to a cgroup.
    pub trait CgroupManager {
        /// Why it can't be done.
        type Error;

        /// Moves a process into it.
        ///
        /// # Errors
        /// When it can't.
        fn add_task(&self, pid: Pid) -> Result<(), Self::Error>;

        /// Sets its limits.
        ///
        /// # Errors
        /// When it can't.
        fn apply<Resources>(&self, options: &ControllerOpt<'_, Resources>) -> Result<(), Self::Error>;

        /// Removes it.
        ///
        /// # Errors
        /// When it can't.
        fn remove(&self) -> Result<(), Self::Error>;

        /// Freezes or thaws it.
        ///
        /// # Errors
        /// When it can't.
        fn freeze(&self, state: FreezerState) -> Result<(), Self::Error>;

        /// What its processes use.
        ///
        /// # Errors
        /// When it can't be told.
        fn stats(&self) -> Result<(), Self::Error>;

        /// Its processes.
        ///
        /// # Errors
        /// When it can't be told.
        fn get_all_pids(&self) -> Result<Vec<Pid>, Self::Error>;
    }

    impl CgroupManager for AnyCgroupManager {
        type Error = AnyManagerError;

        fn add_task(&self, _pid: Pid) -> Result<(), Self::Error> {
            Ok(())
        }

        fn apply<Resources>(&self, _options: &ControllerOpt<'_, Resources>) -> Result<(), Self::Error> {
            Ok(())
        }

        fn remove(&self) -> Result<(), Self::Error> {
            Ok(())
        }

        fn freeze(&self, _state: FreezerState) -> Result<(), Self::Error> {
            Ok(())
        }

        fn stats(&self) -> Result<(), Self::Error> {
            Ok(())
        }

        fn get_all_pids(&self) -> Result<Vec<Pid>, Self::Error> {
            Ok(Vec::new())
        }
    }

    /// Nothing goes wrong where nothing is done.
    #[derive(Debug, thiserror::Error)]
    pub enum AnyManagerError {}

    /// Nothing goes wrong where nothing is done.
    #[derive(Debug, thiserror::Error)]
    pub enum CreateCgroupSetupError {}

    /// Nothing goes wrong where nothing is done.
    #[derive(Debug, thiserror::Error)]
    pub enum GetCgroupSetupError {}
}
