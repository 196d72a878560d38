//! Tests of the upstream pool: reuse, caps, unsent retries, ejection.
