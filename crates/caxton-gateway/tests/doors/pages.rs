//! `docs/errors/`: one page for each code, written from core's table. `UPDATE=1` writes them anew.

use std::collections::BTreeSet;
use std::path::Path;

use caxton_core::error::TABLE;

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let index = index();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(&dir).unwrap();
        for (code, _) in TABLE {
            let page = caxton_gateway::error_page(*code);
            std::fs::write(dir.join(format!("{code}.md")), page).unwrap();
        }
        std::fs::write(dir.join("README.md"), &index).unwrap();
    }
    let mut expected = BTreeSet::from(["README.md".to_owned()]);
    for (code, info) in TABLE {
        let name = format!("{code}.md");
        let found = std::fs::read_to_string(dir.join(&name)).unwrap_or_default();
        let page = caxton_gateway::error_page(*code);
        assert_eq!(found, page, "docs/errors/{name} drifted: run with UPDATE=1");
        for part in [info.code, info.title, info.cause, info.cure] {
            assert!(page.contains(part), "{name} does not say `{part}`");
        }
        expected.insert(name);
    }
    let found = std::fs::read_to_string(dir.join("README.md")).unwrap_or_default();
    assert_eq!(
        found, index,
        "docs/errors/README.md drifted: run with UPDATE=1"
    );
    let files = std::fs::read_dir(&dir).unwrap();
    let files: BTreeSet<_> = files
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, expected);
}

fn index() -> String {
    let mut text = "# Error codes\n\n\
        Every error that leaves Caxton carries one of these codes: in `code` of a problem document \
        (REST), in `ErrorInfo.reason` (gRPC), in front of the CLI's message. `caxton explain CX-3003` \
        shows a page in the terminal, and a server answers it at `/docs/errors/CX-3003`.\n\n\
        1xxx: names and messages. 2xxx: agents and components. 3xxx: delivery and limits. 4xxx: \
        credentials and permission. 5xxx: storage. 6xxx: the server. 7xxx: models, sessions \
        and turns. 8xxx: tools and approvals. 9xxx: the command line.\n\n\
        | code | what |\n|---|---|\n"
        .to_owned();
    for (code, info) in TABLE {
        text.push_str(&format!("| [{code}]({code}.md) | {} |\n", info.title));
    }
    text
}
