//! Pages and listings as text.

/// The fenced blocks of a page: the kind and the text of each.
pub(crate) fn blocks(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'))
}

/// The items of a listing, each with its name: an item begins in the first column after an empty line. All `use`s are
/// one item.
pub(crate) fn items(listing: &str) -> Vec<(String, String)> {
    let mut items: Vec<(String, String)> = Vec::new();
    let mut item = String::new();
    for line in listing.lines().chain(["", "end"]) {
        let begins = item.ends_with("\n\n") && !line.is_empty() && !line.starts_with(' ');
        if begins {
            let name = name(&item);
            match items.last_mut() {
                Some((last, uses)) if last == "use" && name == "use" => uses.push_str(&item),
                _ => items.push((name, std::mem::take(&mut item))),
            }
            item.clear();
        }
        item.push_str(line);
        item.push('\n');
    }
    items
}

/// `fn app`, `impl Shelf`, `mod tests`.
fn name(item: &str) -> String {
    let line = item.lines().find(|line| !line.starts_with("//") && !line.starts_with("#[")).unwrap_or_default();
    if line.starts_with("use ") {
        return "use".to_owned();
    }
    let head = line.split(['(', '{', '<', ':', ';']).next().unwrap_or_default();
    head.trim().trim_start_matches("async ").to_owned()
}

/// Whether a text matches a pattern, in which `…` matches any text.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('…');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}
