//! Settings: flags and fields whose values try to say more than they may.
