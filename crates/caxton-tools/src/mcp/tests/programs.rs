//! Programs: what they get, and what becomes of those that misbehave.

use super::*;
use crate::mcp::Program;

/// A server in a shell: greets, and answers a call as the test's lines say; `$id` is the request's.
fn shell(on_call: &str) -> Program {
    let script = format!(
        r#"while read -r line; do
  id=${{line#*'"id":'}}; id=${{id%%[,\}}]*}}
  case "$line" in
    *server/discover*) echo '{{"jsonrpc":"2.0","id":'$id',"error":{{"code":-32601,"message":"no"}}}}' ;;
    *'"initialize"'*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"protocolVersion":"2025-11-25","capabilities":{{}},"serverInfo":{{"name":"s","version":"1"}}}}}}' ;;
    *tools/call*) {on_call} ;;
  esac
done"#
    );
    let mut program = Program::new("/bin/sh");
    program.args = vec!["-c".to_owned(), script];
    program
}

const SAYS: &str = r#"say() { echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"'"$1"'"}]}}'; }; "#;

async fn run(program: Program) -> Result<ToolAnswer, ToolFault> {
    let (tools, asked) = ready(program, true);
    tools.call(asked).await
}

pub fn ready(program: Program, trusted: bool) -> (McpTools, ToolCall) {
    let options = Options {
        programs: [("it".to_owned(), program)].into(),
        ..Options::default()
    };
    let tool = json!({"kind": "mcp", "place": {"program": "it"}});
    let target = Arc::new(ToolTarget {
        trusted,
        ..target(Some(tool), None)
    });
    let asked = call(&target, function("f"), json!({}));
    (McpTools::new(out(), options), asked)
}

#[tokio::test]
async fn a_program_gets_what_the_configuration_gives_it_and_no_more() {
    let names = "say \"$(tr '\\0' '\\n' < /proc/$$/environ | cut -d= -f1 | sort | tr '\\n' ' ')$(pwd) $(ulimit -n) $(ulimit -c)\"";
    let mut program = shell(&format!("{SAYS}{names}"));
    program.env = [
        ("GIVEN".to_owned(), "1".to_owned()),
        ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
    ]
    .into();
    program.files_max = Some(64);
    let answer = run(program).await.unwrap();
    assert_eq!(text(&answer), "GIVEN PATH / 64 0");
}

#[tokio::test]
async fn only_the_operators_tools_run_programs() {
    let (tools, asked) = ready(shell("exit"), false);
    let refused = tools.call(asked).await.unwrap_err();
    assert_eq!(refused.kind, ToolFaultKind::Unavailable);
    let (tools, mut asked) = ready(shell("exit"), true);
    let tool = json!({"kind": "mcp", "place": {"program": "other"}});
    asked.target = Arc::new(ToolTarget {
        trusted: true,
        ..target(Some(tool), None)
    });
    let unknown = tools.call(asked).await.unwrap_err();
    assert_eq!(unknown.kind, ToolFaultKind::Unavailable);
    let missing = run(Program::new("/nowhere/program")).await.unwrap_err();
    assert_eq!(missing.kind, ToolFaultKind::Unavailable);
}

#[tokio::test]
async fn programs_that_misbehave_are_faults() {
    let kind = async |on_call: &str| run(shell(on_call)).await.unwrap_err().kind;
    assert_eq!(kind("exit 1").await, ToolFaultKind::Unavailable);
    assert_eq!(kind("echo '{\"jsonrpc\":'").await, ToolFaultKind::Malformed);
    assert_eq!(kind("cat /dev/zero").await, ToolFaultKind::TooLarge);
    let flood = r#"yes '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'"#;
    assert_eq!(kind(flood).await, ToolFaultKind::Malformed);
    assert_eq!(kind("yes noise").await, ToolFaultKind::Malformed);
    // A greeting on its output, and much on its error output, are overlooked.
    let noisy = format!("{SAYS}echo hello; head -c 1000000 /dev/zero >&2; say ok");
    assert_eq!(text(&run(shell(&noisy)).await.unwrap()), "ok");
    // Memory beyond the limit is not had.
    let mut greedy = shell(&format!(
        "{SAYS}x=$(head -c 200000000 /dev/zero | tr '\\0' x) && say much; exit"
    ));
    greedy.memory_bytes_max = Some(64 << 20);
    let found = run(greedy).await.unwrap_err();
    assert_eq!(found.kind, ToolFaultKind::Unavailable);
}

#[tokio::test]
async fn a_program_that_does_not_greet_is_told_in_plain_words() {
    let no = r#"read -r line; id=${line#*'"id":'}; id=${id%%[,\}]*}
no='{"jsonrpc":"2.0","id":'$id',"error":{"code":-32601,"message":"no"}}'"#;
    // It is asked which revisions it speaks, says that it does not know, and then it is greeted.
    for (script, expected) in [
        (
            format!("{no}; exec <&-; echo $no; exec /bin/sleep 1000"),
            "Broken pipe",
        ),
        (
            format!(
                "{no}; echo $no; {no}; echo '{{\"jsonrpc\":\"2.0\",\"id\":'$id',\"result\":{{\"tools\":[]}}}}'; read -r line"
            ),
            "it answered the greeting with something else",
        ),
        (
            format!("{no}; echo $no; {no}; echo $no; read -r line"),
            "it answered: no",
        ),
        ("exit 1".to_owned(), ""),
    ] {
        let mut program = Program::new("/bin/sh");
        program.args = vec!["-c".to_owned(), script.clone()];
        let told = run(program).await.unwrap_err().detail;
        assert!(
            told.contains(expected) && !told.contains("::"),
            "{script}: {told}"
        );
    }
}

#[tokio::test]
async fn a_program_ends_with_all_that_it_began() {
    // As a browser is begun by what drives it: in a session, and so a group, of its own.
    for begins in ["/bin/sleep", "setsid /bin/sleep"] {
        let mut program = shell(&format!("{SAYS}{begins} 1000 & say $!"));
        program.env = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
        let (tools, asked) = ready(program, true);
        let answer = tools.call(asked.clone()).await.unwrap();
        let child: u32 = text(&answer).parse().unwrap();
        let stat = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        // It has its parent's name until it has become the program.
        until(|| stat().contains("(sleep)")).await;
        tools.forget(&asked.target.tenant, &asked.target.name);
        // One that has ended and is not yet waited for is no more.
        until(|| stat().is_empty() || stat().contains(") Z")).await;
    }
}

async fn until(is: impl Fn() -> bool) {
    let waiting = async {
        while !is() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap();
}

#[tokio::test]
async fn one_that_died_while_it_was_kept_begins_again() {
    let count = tempfile::NamedTempFile::new().unwrap();
    let path = count.path().display();
    // The first call is answered, and then the program ends by itself.
    let program = shell(&format!(
        "{SAYS}echo x >> {path}; say $(cat {path} | wc -l); exit"
    ));
    let (tools, asked) = ready(program, true);
    for expected in ["1", "2", "3"] {
        let answer = loop {
            // An act is not repeated by itself where the end came between.
            match tools.call(asked.clone()).await {
                Ok(answer) => break answer,
                Err(fault) => assert_eq!(fault.kind, ToolFaultKind::Unavailable),
            }
        };
        assert_eq!(text(&answer).trim(), expected);
    }
}
