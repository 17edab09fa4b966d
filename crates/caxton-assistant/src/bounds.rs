//! Every bound of a turn that `agent.toml` does not set.

/// Of what the window leaves beside the answer: past this share, older messages are summed up.
pub const COMPACT_AT_PERMILLE: u64 = 800;
/// Of the same: what the newest messages may take that stay as they are.
pub const COMPACT_KEEP_PERMILLE: u64 = 400;
/// Calls of the model for summaries in one turn.
pub const COMPACT_CALLS_MAX: u32 = 4;
/// Tokens of a summary.
pub const SUMMARY_TOKENS_MAX: u32 = 1_024;
/// The largest share of the window that is reserved for the answer.
pub const OUTPUT_PERMILLE_MAX: u64 = 500;
/// How often one tool may be called with the same arguments in a turn.
pub const SAME_CALLS_MAX: u32 = 3;
/// Tool calls of a turn that name no tool or have no arguments as they must be.
pub const BAD_CALLS_MAX: u32 = 4;
/// Tool calls of one answer.
pub const CALLS_PER_STEP_MAX: usize = 32;
/// Bytes of a tool's result that the model sees.
pub const RESULT_BYTES_MAX: usize = 64 << 10;
/// Where results of the newest step must be shortened to fit: bytes of each, tried in this order.
pub const RESULT_BYTES_STEPS: [usize; 4] = [16 << 10, 4 << 10, 1 << 10, 256];
/// Characters of a session's title.
pub const TITLE_CHARS_MAX: usize = 80;
/// Characters of a note that a handover brings.
pub const NOTE_CHARS_MAX: usize = 4_000;
/// Longest tool name that every provider takes, in bytes.
pub const TOOL_NAME_BYTES_MAX: usize = 64;
/// Longest id of a tool call that every provider takes, in bytes.
pub const CALL_ID_BYTES_MAX: usize = 40;
/// Calls of the model for the summary that a reset asks for.
pub const RESET_CALLS_MAX: u32 = 8;
