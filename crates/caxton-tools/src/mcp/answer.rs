//! What a server answered, as parts that a model can read.

use crate::outward::cut;
use caxton_core::error::shown;
use caxton_core::model::{Image, Part};
use caxton_engine::port::tool::{ANSWER_BYTES_MAX, ToolAnswer};
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

/// Parts of one answer.
const PARTS_MAX: usize = 256;

/// Reads it. Texts are cut where all of them together have more than so many bytes.
pub fn read(result: CallToolResult, bytes_max: usize) -> ToolAnswer {
    let mut parts = Parts {
        parts: Vec::new(),
        left: bytes_max,
    };
    let blocks = result.content.len();
    for block in result.content.into_iter().take(PARTS_MAX) {
        parts.block(block);
    }
    if blocks > PARTS_MAX {
        parts.text(format!("[{} parts more]", blocks - PARTS_MAX));
    }
    if let (true, Some(value)) = (parts.parts.is_empty(), &result.structured_content) {
        parts.text(value.to_string());
    }
    ToolAnswer {
        parts: parts.parts,
        structured: result.structured_content,
        is_error: result.is_error == Some(true),
        ..ToolAnswer::default()
    }
}

struct Parts {
    parts: Vec<Part>,
    left: usize,
}

impl Parts {
    fn text(&mut self, text: String) {
        if self.left == 0 {
            return;
        }
        let text = cut(text, self.left, false);
        self.left = self.left.saturating_sub(text.len());
        self.parts.push(Part::text(text));
    }

    fn block(&mut self, block: ContentBlock) {
        match block {
            ContentBlock::Text(it) => self.text(it.text),
            ContentBlock::Image(it) => self.data(it.data, &it.mime_type, None),
            ContentBlock::Audio(it) => self.data(it.data, &it.mime_type, None),
            ContentBlock::Resource(it) => match it.resource {
                ResourceContents::TextResourceContents { uri, text, .. } => {
                    self.text(format!("[{uri}]\n{text}"));
                }
                ResourceContents::BlobResourceContents {
                    uri,
                    mime_type,
                    blob,
                    ..
                } => self.data(blob, &mime_type.unwrap_or_default(), Some(&uri)),
                _ => self.text("[a resource of an unknown kind]".to_owned()),
            },
            ContentBlock::ResourceLink(it) => {
                let what = it.description.or(it.title).unwrap_or_default();
                self.text(format!("[{}] {}: {what}", it.uri, it.name));
            }
            _ => self.text("[a part of an unknown kind]".to_owned()),
        }
    }

    /// Pictures are shown; of anything else that is no text, how much of what it is.
    fn data(&mut self, data: String, media: &str, uri: Option<&str>) {
        let pictures = ["image/png", "image/jpeg", "image/gif", "image/webp"];
        let is_base64 = data.len().is_multiple_of(4)
            && data
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"+/=".contains(&it));
        if pictures.contains(&media) && is_base64 && data.len() <= ANSWER_BYTES_MAX {
            let image = Image::Data {
                media_type: media.to_owned(),
                data,
            };
            self.parts.push(Part::Image { image });
            return;
        }
        let at = uri
            .map(|it| format!(" at {}", shown(it)))
            .unwrap_or_default();
        let bytes = data.len() / 4 * 3;
        self.text(format!("[about {bytes} bytes of {}{at}]", shown(media)));
    }
}
