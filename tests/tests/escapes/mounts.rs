//! Mounts and volumes: what a container is given of the host's file system, and what it can make of it.
