//! `caxton tool policy`: what a tenant permits of tools.

use crate::cli::output::{Output, fields};
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{GetToolPolicyRequest, SetToolPolicyRequest, ToolPolicy};
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show it.
    Show,
    /// Change parts of it; what is not named stays.
    Set(SetArgs),
}

/// Lists are written with commas; '' empties one.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The only tools that may be called: `*`, tool, tool.function, agent:NAME; empty: what manifests
    /// allow.
    #[arg(long, value_name = "PATTERNS")]
    allow: Option<String>,
    /// What a person must agree to, each time.
    #[arg(long, value_name = "PATTERNS")]
    ask: Option<String>,
    /// What may not be called.
    #[arg(long, value_name = "PATTERNS")]
    deny: Option<String>,
    /// The only hosts that tools may reach: example.com, *.example.com; empty: all that are public.
    #[arg(long, value_name = "HOSTS")]
    egress: Option<String>,
    /// Show calls and make none.
    #[arg(long, value_enum)]
    sandbox: Option<Switch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

pub(super) async fn run(command: PolicyCommand, client: &Client, output: &Output) -> Outcome {
    let mut policy = client.get_tool_policy(&GetToolPolicyRequest {}).await?;
    if let PolicyCommand::Set(args) = command {
        change(&mut policy, args)?;
        let policy_request = SetToolPolicyRequest {
            policy: Some(policy),
        };
        policy = client.set_tool_policy(&policy_request).await?;
    }
    output.answer(&policy, "toolPolicy", || text(&policy))
}

fn change(policy: &mut ToolPolicy, args: SetArgs) -> Outcome {
    let lists = [
        (args.allow, &mut policy.allow),
        (args.ask, &mut policy.ask),
        (args.deny, &mut policy.deny),
        (args.egress, &mut policy.egress_allow),
    ];
    let mut named = args.sandbox.is_some();
    for (given, list) in lists {
        let Some(given) = given else { continue };
        named = true;
        let items = given.split(',').map(str::trim).filter(|it| !it.is_empty());
        *list = items.map(str::to_owned).collect();
    }
    if let Some(switch) = args.sandbox {
        policy.sandbox = switch == Switch::On;
    }
    match named {
        true => Ok(()),
        false => Err(Failure::usage("nothing to set")
            .with_hint("name one of --allow, --ask, --deny, --egress, --sandbox")),
    }
}

fn text(policy: &ToolPolicy) -> String {
    let list = |items: &[String], none: &str| match items {
        [] => none.to_owned(),
        items => items.join(", "),
    };
    let sandbox = match policy.sandbox {
        true => "on: calls are shown, and none is made",
        false => "off",
    };
    fields(&[
        ("allow", list(&policy.allow, "what agents' manifests allow")),
        ("ask", list(&policy.ask, "nothing")),
        ("deny", list(&policy.deny, "nothing")),
        ("egress", list(&policy.egress_allow, "every public host")),
        ("sandbox", sandbox.to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn args() -> SetArgs {
        SetArgs {
            allow: None,
            ask: None,
            deny: None,
            egress: None,
            sandbox: None,
        }
    }

    #[test]
    fn what_is_not_named_stays_and_an_empty_list_empties() {
        let mut policy = ToolPolicy {
            allow: vec!["a".to_owned()],
            deny: vec!["b".to_owned()],
            sandbox: true,
            ..ToolPolicy::default()
        };
        let given = SetArgs {
            ask: Some("files.write, agent:*".to_owned()),
            deny: Some(String::new()),
            ..args()
        };
        change(&mut policy, given).unwrap();
        assert_eq!(policy.allow, ["a"]);
        assert_eq!(policy.ask, ["files.write", "agent:*"]);
        assert!(policy.deny.is_empty() && policy.sandbox);
        assert!(change(&mut policy, args()).is_err());
    }
}
