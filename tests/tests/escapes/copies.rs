//! Copies, top and exec: what works on a container that runs and is hostile.
