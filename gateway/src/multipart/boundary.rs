//! The boundary between the parts of a form.
//!
//! Threads: any.

use crate::multipart::error::MultipartError;

/// The longest boundary (RFC 2046 §5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// The boundary that the `Content-Type` of a form names.
pub(super) fn boundary(content_type: Option<&str>) -> Result<String, MultipartError> {
    let content_type = content_type.unwrap_or_default();
    match multer::parse_boundary(content_type) {
        Ok(boundary) if (1..=LONGEST_BOUNDARY).contains(&boundary.len()) => Ok(boundary),
        // The parameters of the right type may be malformed, such as `boundary=""`.
        _ if is_form_data(content_type) => Err(MultipartError::NoBoundary),
        _ => Err(MultipartError::NotMultipart),
    }
}

fn is_form_data(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("multipart/form-data"))
}
