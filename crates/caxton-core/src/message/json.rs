//! JSON form of a message.
