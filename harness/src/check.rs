//! Verdicts on histories that were recorded earlier.
