//! `caxton explain CX-1234`: what a code means and what to do. Needs no server.

use super::output::{Column, Output, fields};
use crate::failure::{Failure, Outcome};
use caxton_core::error::{Code, Info, TABLE};
use caxton_core::manifest::nearest;
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code, such as CX-3001 or 3001; without one, all of them are listed.
    code: Option<String>,
}

pub fn run(args: &ExplainArgs, output: &Output) -> Outcome {
    let Some(text) = &args.code else {
        return list(output);
    };
    let full = match text.chars().all(|c| c.is_ascii_digit()) {
        true => format!("CX-{text}"),
        false => text.clone(),
    };
    let Some(info) = Code::find(&full) else {
        let codes = TABLE.iter().map(|(_, info)| info.code);
        let failure = Failure::plain(format!("there is no code `{text}`")).not_found();
        let hint = match nearest(&full, codes) {
            Some(near) => format!("did you mean {near}?"),
            None => "`caxton explain` lists all codes".to_owned(),
        };
        return Err(failure.with_hint(hint));
    };
    output.answer(&document(info), info.code, || {
        fields(&[
            (info.code, info.title.to_owned()),
            ("cause", info.cause.to_owned()),
            ("cure", info.cure.to_owned()),
            ("page", format!("docs/errors/{}.md", info.code)),
        ])
    })
}

fn list(output: &Output) -> Outcome {
    let mut infos: Vec<&Info> = TABLE.iter().map(|(_, info)| info).collect();
    infos.sort_by_key(|info| info.code);
    let documents: Vec<_> = infos.iter().map(|info| document(info)).collect();
    let columns = [Column::Text("CODE"), Column::Text("MEANS")];
    let rows = infos
        .iter()
        .map(|info| vec![info.code.to_owned(), info.title.to_owned()]);
    let names: Vec<String> = infos.iter().map(|info| info.code.to_owned()).collect();
    output.list(
        &json!({ "codes": documents }),
        &columns,
        rows.collect(),
        &names,
    )
}

fn document(info: &Info) -> serde_json::Value {
    json!({
        "code": info.code,
        "title": info.title,
        "cause": info.cause,
        "cure": info.cure,
    })
}
