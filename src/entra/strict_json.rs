//! JSON that has one meaning: no member twice, no deep nesting, nothing after the end.
//!
//! Two readers of one token must never see two different claims.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why a text is not strict JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StrictError {
    /// Not JSON.
    Malformed,
    /// A member occurs twice.
    DuplicateMember,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
}

/// Reads one JSON object.
pub(super) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, StrictError> {
    let why = Cell::new(StrictError::Malformed);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0, why: &why }.deserialize(&mut reader).map_err(|_| why.get())?;
    reader.end().map_err(|_| StrictError::Malformed)?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(StrictError::Malformed),
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: u8,
    why: &'a Cell<StrictError>,
}

impl Strict<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            self.why.set(StrictError::TooDeep);
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1, why: self.why })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                self.why.set(StrictError::DuplicateMember);
                return Err(A::Error::custom("a member occurs twice"));
            }
            object.insert(name, members.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
    }
}

/// Entra's tokens and documents nest four levels deep at most.
const MAX_DEPTH: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_occurs_twice_is_refused_at_any_level() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"x":{"a":1,"\u0061":1}}"#, r#"{"x":[{"a":1,"a":1}]}"#] {
            assert_eq!(parse_object(text.as_bytes()), Err(StrictError::DuplicateMember), "{text}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit_and_not_on_the_stack() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse_object(nested(usize::from(MAX_DEPTH) - 1).as_bytes()).is_ok());
        assert_eq!(parse_object(nested(usize::from(MAX_DEPTH)).as_bytes()), Err(StrictError::TooDeep));
        assert_eq!(parse_object(nested(100_000).as_bytes()), Err(StrictError::TooDeep));
    }

    #[test]
    fn only_one_whole_object_is_read() {
        for text in ["", "[]", "1", "null", "{} {}", "{}x", "{\"a\":}", "{'a':1}"] {
            assert_eq!(parse_object(text.as_bytes()), Err(StrictError::Malformed), "{text}");
        }
        assert_eq!(parse_object(br#" {"a":[1,-2,0.5,"x",true,null]} "#).unwrap().len(), 1);
    }
}
