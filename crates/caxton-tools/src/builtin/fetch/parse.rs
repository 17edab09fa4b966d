//! A page as a tree, within bounds. Nothing but the parser itself knows what a page is made of: where a
//! quote ends, what hides what, which element it opens once more. So the page is parsed, its tree is
//! measured, and a page past a bound has no tree. Parser and measure go round in loops: however deep a
//! page is, they take no more of the stack.

use dom_query::{Document, NodeData, NodeId, Tree};
use html5ever::TokenizerResult;
use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts};
use std::time::{Duration, Instant};

/// Elements within each other. What reads the tree calls itself for each of them.
pub const DEPTH_MAX: usize = 400;
/// Elements, texts and comments in all.
const NODES_MAX: usize = 150_000;
/// Bytes of one text: more is no prose, and some of what reads it takes its square.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// What a node counts, beside its text.
const NODE_WEIGHT: usize = 64;
/// What a line of a text counts: it may be indented once for each element around it.
const LINE_WEIGHT: usize = 16;
/// All nodes' weights, each as often as there are elements around it: what reads the tree looks at a
/// node again for each of these. A page of 2 MiB, twenty elements deep, has a third of it.
const WEIGHT_MAX: usize = 128 << 20;
/// Bytes that are parsed between two looks at the clock.
const PIECE_BYTES: usize = 4 << 10;
/// What a text is in is not shown, and is thrown away before anything reads it.
const UNREAD: [&str; 2] = ["script", "style"];

/// The tree of a page; none where a bound is passed, or where it takes longer than `patience`: a tag of
/// a million attributes takes the parser hours.
pub fn parse(html: &str, patience: Duration) -> Option<Document> {
    let end = Instant::now() + patience;
    let options = TreeBuilderOpts {
        scripting_enabled: false,
        ..TreeBuilderOpts::default()
    };
    let gate = Gate(TreeBuilder::new(Document::default(), options));
    let tokenizer = Tokenizer::new(gate, TokenizerOpts::default());
    let input = BufferQueue::default();
    let mut rest = html;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        rest = after;
        input.push_back(StrTendril::from(piece));
        // It stops behind each script, for who would run it.
        while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
        if !tokenizer.sink.is_promising() || Instant::now() >= end {
            return None;
        }
    }
    tokenizer.end();
    let document = tokenizer.sink.0.sink;
    is_bounded(&document.tree).then_some(document)
}

/// Stands between the tokens and the tree, and lets none through while there are too many nodes: one
/// token may open again all that others left open.
struct Gate(TreeBuilder<NodeId, Document>);

impl Gate {
    fn is_full(&self) -> bool {
        self.0.sink.tree.len() > NODES_MAX
    }

    /// Whether it is of use to go on. Where the tree grows now is not all of it, but most pages that are
    /// too deep are so there, and are given up before the parser takes its time for each level.
    fn is_promising(&self) -> bool {
        let tree = &self.0.sink.tree;
        let mut at = tree.root();
        for _ in 0..=DEPTH_MAX {
            match at.last_child() {
                Some(last) => at = last,
                None => return !self.is_full(),
            }
        }
        false
    }
}

impl TokenSink for Gate {
    type Handle = NodeId;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<NodeId> {
        if self.is_full() {
            return TokenSinkResult::Continue;
        }
        self.0.process_token(token, line)
    }

    fn end(&self) {
        self.0.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.0
            .adjusted_current_node_present_but_not_in_html_namespace()
    }
}

/// Whether a whole tree can be read.
fn is_bounded(tree: &Tree) -> bool {
    let mut weight = 0_usize;
    // With how many nodes are around each.
    let mut unseen = vec![(tree.root_id(), 0_usize)];
    while let Some((id, depth)) = unseen.pop() {
        let (own, held) = tree.query_node_or(&id, (0, None), |it| match &it.data {
            NodeData::Text { contents } => (text_weight(contents), None),
            NodeData::Element(element) => (NODE_WEIGHT, element.template_contents),
            _ => (NODE_WEIGHT, None),
        });
        weight = weight.saturating_add(own.saturating_mul(depth));
        if depth > DEPTH_MAX || weight > WEIGHT_MAX {
            return false;
        }
        let is_unread = tree
            .get_name(&id)
            .is_some_and(|name| UNREAD.contains(&&*name.local));
        if !is_unread {
            let children = tree.child_ids_of_it(&id, false).chain(held);
            unseen.extend(children.map(|it| (it, depth + 1)));
        }
    }
    tree.len() <= NODES_MAX
}

fn text_weight(text: &str) -> usize {
    if text.len() > TEXT_BYTES_MAX {
        return WEIGHT_MAX;
    }
    let lines = text.bytes().filter(|it| *it == b'\n').count();
    NODE_WEIGHT + text.len() + lines * LINE_WEIGHT
}
