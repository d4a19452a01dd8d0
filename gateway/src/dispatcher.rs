//! Several applications behind one gateway, selected by prefix.
//!
//! Threads: pool; blocks.

use std::fmt;

use crate::error::Result;
use crate::{Application, Chunks, Environ, StartResponse};

/// Middleware that passes each request to the application mounted at its path: for use without a router.
///
/// The longest prefix wins. It is matched on segment boundaries, so that `/foobar` is not below `/foo`, and moves from
/// `PATH_INFO` to `SCRIPT_NAME`, as in [`Environ::shift_path_info`]. A request below no prefix gets 404, unless an
/// application is mounted at `/`.
///
/// # Example
///
/// ```
/// use gateway::{Dispatcher, Environ, StartResponse, testing::Client, wsgi_app};
///
/// #[wsgi_app]
/// fn whereami(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
///     start_response("200 OK", &[("Content-Type", "text/plain")])?;
///     Ok([format!("{:?} {:?}", environ.script_name(), environ.path_info())])
/// }
///
/// let client = Client::new(Dispatcher::new().mount("/blog", whereami).mount("/blog/admin", whereami));
/// assert_eq!(client.get("/blog/2024").text(), r#""/blog" "/2024""#);
/// assert_eq!(client.get("/blog/admin").text(), r#""/blog/admin" """#);
/// assert_eq!(client.get("/blogroll").status(), 404);
/// ```
#[derive(Default)]
pub struct Dispatcher {
    /// Sorted, the longest prefix first.
    mounts: Vec<(String, Box<dyn Application>)>,
}

impl Dispatcher {
    /// A dispatcher without applications: everything is 404.
    pub fn new() -> Self {
        Self::default()
    }

    /// Mounts an application. A trailing slash of the prefix makes no difference.
    ///
    /// # Panics
    ///
    /// Panics if the prefix does not begin with a slash, or is taken.
    #[must_use]
    pub fn mount(mut self, prefix: &str, application: impl Application) -> Self {
        assert!(prefix.starts_with('/'), "the prefix {prefix:?} has to begin with a slash");
        let prefix = prefix.trim_end_matches('/');
        assert!(!self.mounts.iter().any(|(known, _)| known == prefix), "two applications are mounted at {prefix:?}");
        let at = self.mounts.partition_point(|(known, _)| known.len() >= prefix.len());
        self.mounts.insert(at, (prefix.to_owned(), Box::new(application)));
        self
    }
}

impl Application for Dispatcher {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
        match self.mounts.iter().find(|(prefix, _)| environ.shift_path_info(prefix)) {
            Some((_, application)) => application.call(environ, start_response),
            None => {
                start_response("404 Not Found", &[("Content-Type", "text/plain; charset=utf-8")])?;
                Ok(Chunks::new(["Not Found\n"]))
            }
        }
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.mounts.iter().map(|(prefix, _)| prefix)).finish()
    }
}
