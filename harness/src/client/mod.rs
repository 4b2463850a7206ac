//! Connections to the nodes, and what became of each operation.
