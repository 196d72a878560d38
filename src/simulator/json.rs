//! JSON objects put together member by member.

use serde_json::Value;

/// Puts `value` under `name`. What is not an object stays as it is.
pub(super) fn put(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}
