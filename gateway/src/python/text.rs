//! Text out of Python for messages and logs.
//!
//! Threads: pool.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString};

/// A text of Python as UTF-8. A surrogate without its other half, which UTF-8 cannot hold, is written as its escape, as
/// Python's own stderr does.
pub(super) fn of(text: &Bound<'_, PyString>) -> String {
    if let Ok(text) = text.to_str() {
        return text.to_owned();
    }
    let encoded = text.call_method1("encode", ("utf-8", "backslashreplace"));
    match encoded.as_ref().map(|encoded| encoded.cast::<PyBytes>()) {
        Ok(Ok(bytes)) => String::from_utf8_lossy(bytes.as_bytes()).into_owned(),
        _ => text.to_string_lossy().into_owned(),
    }
}

/// A short `repr`: the first and the last characters of a text, and the first items of a list. An object may be of any
/// size, so a text, or bytes, are cut before `repr` copies them.
const QUOTE: &std::ffi::CStr = c"
import reprlib

class Quote(reprlib.Repr):
    def __init__(self):
        super().__init__()
        self.maxstring = self.maxother = 120

    repr_bytes = repr_bytearray = reprlib.Repr.repr_str

    def quote(self, value):
        text = self.repr(value)
        is_cut = isinstance(value, (str, bytes, bytearray)) and len(value) > self.maxstring
        return f'{text} ({len(value)} long)' if is_cut else text

quote = Quote().quote
";

/// The `repr` of an object for a message: some hundred characters at most. If `repr` raises, only the type.
pub(super) fn quoted(object: &Bound<'_, PyAny>) -> String {
    let py = object.py();
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let define = || {
        let names = PyDict::new(py);
        py.run(QUOTE, Some(&names), None)?;
        names.as_any().get_item("quote").map(Bound::unbind)
    };
    let quoted = FUNCTION.get_or_try_init(py, define).and_then(|quote| quote.bind(py).call1((object,)));
    match quoted.as_ref().map(|quoted| quoted.cast::<PyString>()) {
        Ok(Ok(text)) => of(text),
        _ => format!("an object without a repr, of type {}", object.get_type()),
    }
}
