//! JSON inside messages: `google.protobuf.Struct` and `google.protobuf.Value`.
//!
//! In JSON they are what they hold, to the digit: a number of 64 bits passes REST unharmed, where the
//! protobuf types know floating point only. On gRPC they are the protobuf types.

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number};

/// `google.protobuf.Struct`: a JSON object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Struct(pub Map<String, serde_json::Value>);

/// `google.protobuf.Value`: any JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Value(pub serde_json::Value);

/// The largest whole number that a floating point number tells from its neighbours.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl Struct {
    /// The object as JSON.
    pub fn into_json(self) -> serde_json::Value {
        serde_json::Value::Object(self.0)
    }

    /// Of JSON that is an object; of any other, none.
    pub fn of(value: serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::Object(fields) => Some(Self(fields)),
            _ => None,
        }
    }
}

impl prost::Message for Struct {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        wire_struct(&self.0).encode_raw(buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        // One field of the message is one field of the object.
        let mut part = prost_types::Struct::default();
        part.merge_field(tag, wire_type, buf, ctx)?;
        self.0.extend(json_fields(part));
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        wire_struct(&self.0).encoded_len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

impl prost::Message for Value {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        wire_value(&self.0).encode_raw(buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        // A value has one field; of more, the last counts.
        let mut part = prost_types::Value::default();
        part.merge_field(tag, wire_type, buf, ctx)?;
        self.0 = json_value(part);
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        wire_value(&self.0).encoded_len()
    }

    fn clear(&mut self) {
        self.0 = serde_json::Value::Null;
    }
}

fn wire_struct(fields: &Map<String, serde_json::Value>) -> prost_types::Struct {
    let fields = fields.iter();
    prost_types::Struct {
        fields: fields.map(|(k, v)| (k.clone(), wire_value(v))).collect(),
    }
}

fn wire_value(value: &serde_json::Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(it) => Kind::BoolValue(*it),
        serde_json::Value::Number(it) => Kind::NumberValue(it.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(it) => Kind::StringValue(it.clone()),
        serde_json::Value::Array(items) => Kind::ListValue(prost_types::ListValue {
            values: items.iter().map(wire_value).collect(),
        }),
        serde_json::Value::Object(fields) => Kind::StructValue(wire_struct(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}

fn json_fields(part: prost_types::Struct) -> Map<String, serde_json::Value> {
    let fields = part.fields.into_iter();
    fields.map(|(k, v)| (k, json_value(v))).collect()
}

fn json_value(value: prost_types::Value) -> serde_json::Value {
    use prost_types::value::Kind;
    match value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(it)) => serde_json::Value::Bool(it),
        Some(Kind::NumberValue(it)) => number(it),
        Some(Kind::StringValue(it)) => serde_json::Value::String(it),
        Some(Kind::ListValue(it)) => it.values.into_iter().map(json_value).collect(),
        Some(Kind::StructValue(it)) => serde_json::Value::Object(json_fields(it)),
    }
}

/// A whole number is written as one. What is no number is null.
fn number(it: f64) -> serde_json::Value {
    if it.fract() == 0.0 && it.abs() <= EXACT_MAX {
        // In range by the line above.
        #[allow(clippy::cast_possible_truncation)]
        return serde_json::Value::Number(Number::from(it as i64));
    }
    Number::from_f64(it).map_or(serde_json::Value::Null, serde_json::Value::Number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use prost::Message;
    use serde_json::json;

    #[test]
    fn json_goes_over_grpc_and_back() {
        for value in [
            json!({"a": [1, -2, 0.5, "x", null, true, {"b": {}}], "c": []}),
            json!({}),
            json!({"deep": {"deep": {"deep": [[[]]]}}, "n": 9_007_199_254_740_992_i64}),
        ] {
            let given = Struct::of(value.clone()).unwrap();
            let bytes = given.encode_to_vec();
            assert_eq!(bytes.len(), given.encoded_len());
            assert_eq!(Struct::decode(bytes.as_slice()).unwrap(), given);
            let prost = prost_types::Struct::decode(bytes.as_slice()).unwrap();
            assert_eq!(prost.encoded_len(), bytes.len());
            let given = Value(value);
            let bytes = given.encode_to_vec();
            assert_eq!(Value::decode(bytes.as_slice()).unwrap(), given);
        }
        assert!(Struct::of(json!([])).is_none());
        assert_eq!(number(f64::NAN), json!(null));
        assert_eq!(number(1e300), json!(1e300));
    }

    #[test]
    fn numbers_of_64_bits_pass_json_unharmed() {
        let text = r#"{"id":12345678901234567890,"n":-9223372036854775807}"#;
        let read: Struct = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }

    #[test]
    fn nesting_without_end_is_refused() {
        // Each level is a list with one value: 1000 of them, built from the inside.
        let mut inner = Vec::new();
        for _ in 0..1000 {
            let list = [&[0x0a], prefixed(&inner).as_slice()].concat();
            inner = [&[0x32], prefixed(&list).as_slice()].concat();
        }
        assert!(Value::decode(inner.as_slice()).is_err());
    }

    fn prefixed(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
        out
    }
}
