//! FIPA string form (SC00070).
