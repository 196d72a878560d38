//! Rule text.
