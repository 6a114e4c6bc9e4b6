//! Golden plans and tables of options.
