//! The alert rules: that what they look at is there, and that they fire when they should.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

use crate::support::World;

fn rules(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/prometheus")
        .join(name)
}

#[tokio::test]
async fn every_metric_of_the_alerts_is_one_the_server_has() {
    let world = World::new().await;
    let metrics = world.get("/metrics").await.is(200).text;
    let text = std::fs::read_to_string(rules("alerts.yaml")).unwrap();
    let mut seen = 0;
    for expression in text.lines() {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in words.filter(|word| word.starts_with("caxton_")) {
            seen += 1;
            let there = metrics.lines().any(|line| {
                let rest = line.strip_prefix(name).unwrap_or(" none");
                rest.starts_with('{') || rest.starts_with(' ') && rest != " none"
            });
            assert!(there, "no series {name}");
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[tokio::test]
async fn readiness_is_a_metric() {
    let world = World::new().await;
    let ready = async || {
        let text = world.get("/metrics").await.is(200).text;
        let line = text
            .lines()
            .find(|it| it.starts_with("caxton_ready "))
            .unwrap();
        line.to_owned()
    };
    assert_eq!(ready().await, "caxton_ready 1");
    world.store_hangs.store(true, Ordering::SeqCst);
    assert_eq!(ready().await, "caxton_ready 0");
}

#[test]
#[ignore = "needs promtool"]
fn each_alert_fires_when_it_should_and_not_before() {
    let promtool = std::env::var_os("CAXTON_TEST_PROMTOOL").expect("run `cargo xtask test`");
    for args in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts_test.yaml"],
    ] {
        let mut command = Command::new(&promtool);
        let ran = command.args(args).current_dir(rules("")).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }
}
