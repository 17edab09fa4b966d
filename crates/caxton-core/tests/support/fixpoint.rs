//! What must hold for any input whatever; the fuzz targets and the seeded tests share it.
//!
//! Reading never panics. What was read is written so that it reads back the same, and written
//! again gives the same bytes. What passes `Acl::validate` crosses into the other form unharmed.

use caxton_core::message::{acl_string, json};
use caxton_core::{Acl, TenantId};

/// Checks the string form; whether the input was a message.
pub fn string_form(input: &[u8]) -> bool {
    let home = TenantId::default_tenant();
    let Ok(acl) = acl_string::read(input, &home) else {
        return false;
    };
    let written = acl_string::write(&acl);
    let again = acl_string::read(&written, &home).expect("what was written reads");
    assert_same(&acl, &again);
    assert_eq!(acl_string::write(&again), written);
    if acl.validate().is_ok() {
        let crossed = json::write(&acl).to_string();
        assert_same(&acl, &json::read(crossed.as_bytes(), &home).expect("reads"));
    }
    true
}

/// Checks the JSON form; whether the input was a message.
pub fn json_form(input: &[u8]) -> bool {
    let home = TenantId::default_tenant();
    let Ok(mut acl) = json::read(input, &home) else {
        return false;
    };
    let written = json::write(&acl);
    let text = written.to_string();
    let again = json::read(text.as_bytes(), &home).expect("what was written reads");
    assert_same(&acl, &again);
    assert_eq!(json::write(&again), written);
    if acl.validate().is_ok() {
        // The string form has milliseconds and the years 0 to 9999 only.
        acl.reply_by = None;
        let crossed = acl_string::write(&acl);
        assert_same(&acl, &acl_string::read(&crossed, &home).expect("reads"));
    }
    true
}

/// Compares all of two messages, contacts too, which `==` on identifiers leaves out.
fn assert_same(left: &Acl, right: &Acl) {
    assert_eq!(left, right);
    assert_eq!(json::write(left), json::write(right));
}
