//! The generated traits, each method one line: the work is in the file of its noun.

mod platform;
mod work;
