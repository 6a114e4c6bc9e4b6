//! Entering and starting: what comes into a container from outside, and what it brings along.
