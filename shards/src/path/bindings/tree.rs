//! Patterns as a tree of their tokens, so that a name is compared with what it can match and not
//! with every pattern.
//!
//! Names and patterns are cut after each `.` and `/`. In a pattern `*` stands for one token, and
//! `>`, at the end, for all that is left; `ringway_protocol::pattern` says it exactly.

use ringway_protocol::QueueId;

/// One token further in the patterns that begin alike.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// By the next token, in order: few for most, and a token of a pattern costs some 150 bytes.
    next: Vec<Branch>,
    /// Queues of patterns that end here.
    here: Vec<QueueId>,
    /// Queues of patterns that end in a `>` here.
    rest: Vec<QueueId>,
}

/// What begins with a token more.
#[derive(Debug)]
struct Branch {
    /// The token with the separator that ends it; `*` for any.
    token: Box<str>,
    tree: Box<Tree>,
}

/// The tokens of a name or a pattern.
fn tokens(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split_inclusive(['.', '/'])
}

/// What stands in a pattern for any token that ends like this one.
fn any_like(token: &str) -> Option<&'static str> {
    match token {
        "." | "/" => None,
        token if token.ends_with('.') => Some("*."),
        token if token.ends_with('/') => Some("*/"),
        _ => Some("*"),
    }
}

impl Tree {
    pub fn is_empty(&self) -> bool {
        self.next.is_empty() && self.here.is_empty() && self.rest.is_empty()
    }

    /// Adds a queue's pattern, which is not there.
    pub fn insert(&mut self, pattern: &str, queue: QueueId) {
        let mut tree = self;
        for token in tokens(pattern) {
            if token == ">" {
                return tree.rest.push(queue);
            }
            let at = tree.find(token).unwrap_or_else(|at| {
                // Room for one: most have no other.
                if tree.next.is_empty() {
                    tree.next.reserve_exact(1);
                }
                let branch = Branch { token: token.into(), tree: Box::default() };
                tree.next.insert(at, branch);
                at
            });
            tree = &mut tree.next[at].tree;
        }
        tree.here.push(queue);
    }

    /// Removes a queue's pattern that was inserted, and the branches that held nothing else.
    pub fn remove(&mut self, pattern: &str, queue: QueueId) {
        self.remove_at(tokens(pattern), queue);
    }

    /// Where the branch of a token is, or would be.
    fn find(&self, token: &str) -> Result<usize, usize> {
        self.next.binary_search_by(|branch| (*branch.token).cmp(token))
    }

    fn branch(&self, token: &str) -> Option<&Tree> {
        self.find(token).ok().map(|at| &*self.next[at].tree)
    }

    /// As deep as a pattern has tokens.
    fn remove_at<'a>(&mut self, mut tokens: impl Iterator<Item = &'a str>, queue: QueueId) {
        match tokens.next() {
            Some(">") => remove_one(&mut self.rest, queue),
            None => remove_one(&mut self.here, queue),
            Some(token) => {
                if let Ok(at) = self.find(token) {
                    let tree = &mut self.next[at].tree;
                    tree.remove_at(tokens, queue);
                    if tree.is_empty() {
                        self.next.remove(at);
                    }
                }
            }
        }
    }

    /// Visits the queues of every pattern that a name matches; a queue may come several times.
    pub fn visit(&self, name: &str, found: &mut dyn FnMut(&[QueueId])) {
        self.visit_at(tokens(name), found);
    }

    /// Each branch is entered at most once for a name, so the work is bounded by the tree's size.
    fn visit_at<'a>(
        &self,
        mut tokens: impl Iterator<Item = &'a str> + Clone,
        found: &mut dyn FnMut(&[QueueId]),
    ) {
        let Some(token) = tokens.next() else { return found(&self.here) };
        found(&self.rest);
        if let Some(tree) = any_like(token).and_then(|any| self.branch(any)) {
            tree.visit_at(tokens.clone(), found);
        }
        if let Some(tree) = self.branch(token) {
            tree.visit_at(tokens, found);
        }
    }
}

fn remove_one(queues: &mut Vec<QueueId>, queue: QueueId) {
    if let Some(at) = queues.iter().position(|found| *found == queue) {
        queues.swap_remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ringway_protocol::Pattern;

    fn pattern() -> impl Strategy<Value = String> {
        let open = prop_oneof![Just(""), Just(".>"), Just("/>"), Just("."), Just("/")];
        ("([ab]|\\*|a?)([./]([ab]|\\*|b?)){0,3}", open).prop_map(|(start, end)| start + end)
    }

    proptest! {
        #[test]
        fn a_tree_finds_what_a_list_would(
            patterns in proptest::collection::vec(pattern(), 1..30),
            removed in proptest::collection::vec(any::<bool>(), 30),
            names in proptest::collection::vec("[ab]([./][ab]?){0,4}", 1..20),
        ) {
            let patterns: Vec<_> =
                patterns.iter().filter_map(|pattern| Pattern::new(pattern).ok()).collect();
            let mut tree = Tree::default();
            let id = |number: usize| QueueId::new(1, 0, number as u32);
            for (at, pattern) in patterns.iter().enumerate() {
                tree.insert(pattern.as_str(), id(at));
            }
            let removed = |(at, _): &(usize, &Pattern<'_>)| removed[*at];
            for (at, pattern) in patterns.iter().enumerate().filter(removed) {
                tree.remove(pattern.as_str(), id(at));
            }
            for name in names {
                let mut found = Vec::new();
                tree.visit(&name, &mut |queues| found.extend_from_slice(queues));
                found.sort_unstable();
                let kept = patterns.iter().enumerate().filter(|entry| !removed(entry));
                let kept = kept.filter(|(_, pattern)| pattern.matches(&name));
                let expected: Vec<_> = kept.map(|(at, _)| id(at)).collect();
                prop_assert_eq!(found, expected, "{}", name);
            }
            for (at, pattern) in patterns.iter().enumerate().filter(|entry| !removed(entry)) {
                tree.remove(pattern.as_str(), id(at));
            }
            prop_assert!(tree.is_empty());
        }
    }
}
