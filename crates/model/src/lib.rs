//! stub
#![forbid(unsafe_code)]
pub mod decode;
pub mod explore;
pub mod maintenance;
pub mod meaning;
pub mod profile;
pub mod program;
pub mod replay;
pub mod rights;
pub mod shape;
pub mod text;
pub mod verdict;
