//! The history, as one stream in time order.
