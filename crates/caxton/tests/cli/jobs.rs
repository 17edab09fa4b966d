//! Jobs from the command line, over a real server that is killed on the way.

use crate::support::Home;

#[test]
fn a_job_from_submitting_to_removing() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("counter");
    let id = home.ok(&["job", "submit", "counter", "add 41"]);
    let id = id.trim_end();
    assert_eq!(home.ok(&["job", "wait", id]), "41\n");
    assert_eq!(
        home.ok(&["job", "submit", "counter", "add 1", "--wait"]),
        "42\n"
    );
    let job = home.json(&["job", "show", id]);
    assert_eq!(
        (&job["state"], &job["reply"]["content"]),
        (&"complete".into(), &"41".into())
    );
    let listed = home.json(&["job", "list", "--agent", "counter", "--state", "complete"]);
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 2);
    assert_eq!(
        home.ok(&["job", "list", "-o", "name"]).lines().last(),
        Some(id)
    );
    // Over, it can be cancelled no more; removed, it is gone.
    assert_eq!(home.ok(&["job", "cancel", id]), format!("{id} complete\n"));
    home.ok(&["job", "remove", id]);
    let gone = home.run(&["job", "wait", id]);
    assert_eq!(gone.code, Some(3), "{gone:?}");
    assert!(gone.stderr.contains("CX-3041"), "{}", gone.stderr);
    // What the agent does not understand is a failure with its answer.
    let failed = home.run(&["job", "submit", "counter", "sing", "--wait"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("CX-30"), "{}", failed.stderr);
    let wrong = home.run(&["job", "submit", "couner", "x"]);
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
}

#[test]
fn an_agent_is_asked_and_waited_for() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("counter");
    assert_eq!(home.ok(&["agent", "invoke", "counter", "add 41"]), "41\n");
    let answer = home.json(&["agent", "invoke", "counter", "add 1", "--timeout", "20s"]);
    assert_eq!(answer["reply"]["content"], "42");
    let followed = home.run(&["agent", "invoke", "counter", "add 1", "--follow"]);
    assert_eq!((followed.code, &*followed.stdout), (Some(0), "43\n"));
    assert!(followed.stderr.contains("complete"), "{followed:?}");
    let wrong = home.run(&["agent", "invoke", "couner", "x"]);
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    assert!(wrong.stderr.contains("counter"), "{}", wrong.stderr);
    let failed = home.run(&["agent", "invoke", "counter", "sing"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
}

/// Submitted and on disk, then the server dies. Each job has its answer after the next start, and
/// each was counted once.
#[test]
fn jobs_survive_a_crash_and_count_once() {
    let home = Home::new();
    let server = home.serve();
    home.deploy("counter");
    home.ok(&["agent", "stop", "counter"]);
    home.ok(&["agent", "start", "counter"]);
    let jobs: Vec<String> = (0..8)
        .map(|_| {
            home.ok(&["job", "submit", "counter", "add 5"])
                .trim_end()
                .to_owned()
        })
        .collect();
    server.kill();
    let _server = home.serve();
    let mut answers: Vec<u32> = jobs
        .iter()
        .map(|id| home.ok(&["job", "wait", id]).trim_end().parse().unwrap())
        .collect();
    answers.sort_unstable();
    assert_eq!(answers, [5, 10, 15, 20, 25, 30, 35, 40]);
    assert_eq!(home.ask("counter", "query-ref", "get"), "40\n");
}

#[test]
fn a_job_that_nobody_answers_fails_in_its_time() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("counter");
    // The agent answers requests, and no `inform`.
    let args = ["--performative", "inform", "--timeout", "1s", "--wait", "x"];
    let late = home.run(&[&["job", "submit", "counter"], &args[..]].concat());
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(late.stderr.contains("CX-3006"), "{}", late.stderr);
}
