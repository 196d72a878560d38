//! A value that remembers where in the file it was written.

use std::borrow::Cow;
use std::ops::{Deref, Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// A value with its place; defaults have none. In the JSON Schema it is just the value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent, bound(deserialize = "T: serde::de::DeserializeOwned", serialize = "T: Serialize"))]
pub struct At<T>(Spanned<T>);

impl<T> At<T> {
    /// A value that no file says.
    #[must_use]
    pub fn nowhere(value: T) -> Self {
        Self(Spanned::new(0..0, value))
    }

    /// The bytes of the file that say it.
    #[must_use]
    pub fn span(&self) -> Option<Range<usize>> {
        Some(self.0.span()).filter(|span| span.end > 0)
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &T {
        self.0.get_ref()
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value()
    }
}

impl<T> From<T> for At<T> {
    fn from(value: T) -> Self {
        Self::nowhere(value)
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
