//! Promises of the model files, each in a module named for it.

mod real_pull;
