//! The default name of a mount.
//!
//! Threads: any.

/// The name of an application or a handler: the path of its type, without the crate, type parameters and the closures
/// around it. For a wrapper of this crate, such as [`http_fn`](crate::http_fn), the name of the fn inside.
pub(crate) fn name_of<A>() -> String {
    name_of_path(std::any::type_name::<A>())
}

fn name_of_path(mut path: &str) -> String {
    let wrapped = |path: &str| path.starts_with("gateway::").then(|| path.find('<')).flatten();
    while let Some(at) = wrapped(path) {
        path = first_argument(&path[at + 1..]);
    }
    let path = path.split('<').next().unwrap_or(path);
    let path = path.split_once("::").map_or(path, |(_, path)| path);
    path.replace("{{closure}}::", "")
}

/// The first of the type arguments at the start of `text`.
fn first_argument(text: &str) -> &str {
    let mut depth = 0_usize;
    let end = text.find(|character| match character {
        '<' => {
            depth += 1;
            false
        }
        '>' if depth > 0 => {
            depth -= 1;
            false
        }
        ',' | '>' => depth == 0,
        _ => false,
    });
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_named_after_the_path_of_its_fn() {
        for (path, name) in [
            ("shop::users::list", "users::list"),
            ("shop::list", "list"),
            ("shop::main::{{closure}}::list", "main::list"),
            ("shop::main::{{closure}}", "main::{{closure}}"),
            ("shop::Cached<shop::List>", "Cached"),
            ("gateway::application::ApplicationFn<shop::main::{{closure}}>", "main::{{closure}}"),
            ("gateway::http_fn::HttpFn<shop::shout, [alloc::string::String; 1], gateway::error::Error>", "shout"),
            ("gateway::validator::Validator<gateway::dispatcher::Dispatcher<shop::A<u8>, shop::B>>", "A"),
            ("gateway::status::Plain", "status::Plain"),
        ] {
            assert_eq!(name_of_path(path), name, "{path}");
        }
    }
}
