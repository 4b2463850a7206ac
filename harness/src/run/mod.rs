//! A test from its start to its verdict.
