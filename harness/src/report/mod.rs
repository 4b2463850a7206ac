//! The verdict in words, in files and on the terminal.
