//! Docker's types as bollard writes them down. Nobody else names that crate, and nothing of it is stored: what is kept is
//! ours, or the JSON itself.

pub(crate) use bollard_stubs::models::*;
