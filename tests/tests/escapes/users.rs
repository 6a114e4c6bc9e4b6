//! Users and groups: who a container's processes are.
