//! Builds: Dockerfiles, contexts and steps that reach for the host.
