//! The tests are in `suite/`; this library is empty.
