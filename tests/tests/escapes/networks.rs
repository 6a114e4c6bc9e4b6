//! Networks: what a container can send, and what it can take, to pass for somebody else.
