//! The server's status and its backups.

use caxton_core::Code;
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn the_status_tells_what_runs() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    world.deploy("b", "echo", "").await;
    world.call("POST", "/v1/agents/b/stop", "").await.is(200);
    world.ask("a", "x").await;
    world.tenant("acme").await;
    let status = world.get("/v1/server/status").await.is(200).json();
    assert_eq!(
        (&status["state"], &status["agents"]),
        (&json!("ready"), &json!(2))
    );
    assert_eq!(
        (&status["agentsRunning"], &status["tenants"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(status["processId"], std::process::id());
    assert_eq!(
        format!("http://{}", status["listen"].as_str().unwrap()),
        world.base
    );
    assert_eq!(
        (&status["messagesHandled"], &status["store"]["state"]),
        (&json!("1"), &json!("ok"))
    );
}

#[tokio::test]
async fn backups_are_listed_the_newest_first() {
    let world = World::new().await;
    let ids = async |query: &str| {
        let page = world
            .get(&format!("/v1/backups?{query}"))
            .await
            .is(200)
            .json();
        let all = page["backups"].as_array().unwrap().clone();
        let ids: Vec<_> = all
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect();
        (
            ids.join(" "),
            page["nextPageToken"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(
        ids("").await,
        ("backup-3 backup-2 backup-1".to_owned(), String::new())
    );
    let (first, token) = ids("pageSize=2").await;
    assert_eq!(first, "backup-3 backup-2");
    let rest = ids(&format!("pageSize=2&pageToken={token}")).await;
    assert_eq!(rest, ("backup-1".to_owned(), String::new()));
    world
        .get("/v1/backups?pageToken=x")
        .await
        .problem(400, Code::ParameterMalformed);
    let shown = world.get("/v1/backups/backup-3").await.is(200).json();
    assert_eq!(
        (&shown["sizeBytes"], &shown["sha256"]),
        (&json!("10"), &json!("07".repeat(32)))
    );
    let path = world.backups.path().join("backup-3").display().to_string();
    assert_eq!(shown["path"], path);
    world
        .get("/v1/backups/backup-9")
        .await
        .problem(404, Code::BackupNotFound);
    for name in ["..%2Fbackup-3", "a%00b", &"x".repeat(65)] {
        let answer = world.get(&format!("/v1/backups/{name}")).await;
        answer.problem(400, Code::IdMalformed);
    }
}

#[tokio::test]
async fn a_damaged_backup_is_an_answer() {
    let world = World::new().await;
    let check = async |id: &str, ok: bool, state: &str, problems: serde_json::Value| {
        let path = format!("/v1/backups/{id}/verify");
        let answer = world.call("POST", &path, "").await.is(200).json();
        assert_eq!(
            (&answer["ok"], &answer["problems"]),
            (&json!(ok), &problems)
        );
        assert_eq!(answer["backup"]["state"], state);
    };
    check("backup-3", true, "ready", json!([])).await;
    check("backup-2", false, "damaged", json!(["page 7 is damaged"])).await;
    let none = world.call("POST", "/v1/backups/x/verify", "").await;
    none.problem(404, Code::BackupNotFound);
    // The memory store has nothing to back up, and says so.
    let refused = world.call("POST", "/v1/backups", "").await;
    let problem = refused.problem(503, Code::StorageFailed);
    assert!(
        problem["detail"].as_str().unwrap().contains("memory"),
        "{problem}"
    );
}
