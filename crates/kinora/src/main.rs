//! The `kinora` command.

fn main() {}
