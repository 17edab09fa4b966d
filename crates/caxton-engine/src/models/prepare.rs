//! What comes before a call: what an earlier run left, who can be asked, what may be spent.

use super::call::{Caller, Candidate, Completed, Completion, NotCompleted};
use super::ledger::Reserved;
use super::{CallId, CallOutcome, ModelCallRecord, Models};
use crate::limits::Unit;
use caxton_core::TenantId;
use caxton_core::error::{Code, Error};
use caxton_core::model::{ModelName, ModelReply, Price, Tokens};

/// How often one call is asked anew after restarts that came before its first word.
const AGAIN_MAX: u32 = 16;

impl Models {
    /// Settles and counts what an earlier run left open.
    pub(super) async fn settle_left(&self, tenant: &TenantId) -> Result<(), Error> {
        for record in self.ledger.recover(tenant, self).await? {
            let (key, now) = (record.key.as_deref(), self.clock.now());
            let used = [
                (Unit::Tokens, record.tokens.total()),
                (Unit::CostMicros, record.cost_micros),
            ];
            for (unit, amount) in used {
                self.quotas.count(tenant, key, unit, amount, now).await?;
            }
        }
        Ok(())
    }

    /// What a model costs; nothing where its provider is not there any more, or has no price.
    pub(super) async fn price(&self, tenant: &TenantId, name: &ModelName) -> Price {
        let found = self.directory.endpoint(tenant, name.provider()).await;
        let facts = found.map(|it| self.model.facts(it.kind, name.model()));
        facts.ok().and_then(|it| it.price).unwrap_or_default()
    }

    /// What is known of this call from before a restart: its answer, or the id to ask it under.
    pub(super) async fn replayed(
        &self,
        caller: &Caller,
    ) -> Result<Result<CallId, Box<Completed>>, NotCompleted> {
        let mut id = CallId {
            turn: caller.turn.id(),
            index: caller.index,
            again: 0,
        };
        while caller.durable && caller.replay && id.again < AGAIN_MAX {
            let Some(record) = self.ledger.find(caller.turn.tenant(), &id).await? else {
                break;
            };
            if let (CallOutcome::Completed, Some(reply)) = (&record.outcome, &record.reply) {
                return Ok(Err(Box::new(Completed {
                    reply: (**reply).clone(),
                    model: record.model,
                    tokens: record.tokens,
                    cost_micros: record.cost_micros,
                    tries: record.tries,
                    replayed: true,
                })));
            }
            // Only what nobody saw anything of may be asked again.
            let unseen = !record.visible
                && matches!(
                    record.outcome,
                    CallOutcome::Interrupted | CallOutcome::Failed(_)
                );
            if !unseen {
                let detail = "the server stopped while the model answered";
                return Err(NotCompleted {
                    error: Error::new(Code::TurnInterrupted, detail),
                    reply: ModelReply::default(),
                    tokens: record.tokens,
                    cost_micros: record.cost_micros,
                    tries: record.tries,
                });
            }
            id.again += 1;
        }
        Ok(Ok(id))
    }

    /// The models that can be asked: their providers are known, and the request fits.
    pub(super) async fn candidates(
        &self,
        tenant: &TenantId,
        models: &[ModelName],
        input: u64,
    ) -> Result<Vec<Candidate>, Error> {
        let mut candidates = Vec::with_capacity(models.len());
        let mut first = None;
        for name in models {
            let found = self.directory.endpoint(tenant, name.provider()).await;
            let endpoint = match found {
                Ok(endpoint) => endpoint,
                Err(error) if error.code == Code::ProviderNotFound => {
                    first.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let facts = self.model.facts(endpoint.kind, name.model());
            if input >= u64::from(facts.context_tokens_max) {
                first.get_or_insert(Error::new(
                    Code::ContextTooLong,
                    format!(
                        "about {input} tokens, and {name} takes {}",
                        facts.context_tokens_max
                    ),
                ));
                continue;
            }
            candidates.push(Candidate {
                name: name.clone(),
                endpoint,
                facts,
            });
        }
        match (candidates.is_empty(), first) {
            (false, _) => Ok(candidates),
            (true, Some(error)) => Err(error),
            (true, None) => Err(Error::new(Code::Internal, "no model was named")),
        }
    }

    /// Reserves what the call may take at most, or what there is: no less than it is likely to take.
    /// Gives the tokens that the answer may have. So a quota is gone past only by a call that had less
    /// left than its bytes, and by no more tokens than half of those.
    pub(super) async fn reserve(
        &self,
        caller: &Caller,
        ask: &Completion,
        candidates: &[Candidate],
    ) -> Result<(Reserved, u32), Error> {
        let (likely, most_in) = (ask.request.tokens_likely(), ask.request.tokens_most());
        let (tenant, key) = (caller.turn.tenant(), caller.turn.key());
        let now = self.clock.now();
        let wanted = u64::from(ask.request.output_tokens_max.max(1));
        let mut most = most_in + wanted;
        if let Some(left) = ask.ceiling.tokens {
            if left <= likely {
                return Err(over("tokens"));
            }
            most = most.min(left);
        }
        let tokens = self
            .quotas
            .reserve_up_to(tenant, key, Unit::Tokens, likely + 1, most, now)
            .await?;
        let output = tokens.amount().saturating_sub(likely).clamp(1, wanted);
        let dearest = |input: u64, output: u64| {
            let costs = candidates.iter().filter_map(|it| it.facts.price);
            let costs = costs.map(|price| price.most_micros(input, output));
            costs.max().unwrap_or(0)
        };
        let (least, mut most) = (dearest(likely, 1), dearest(most_in, output));
        if let Some(left) = ask.ceiling.cost_micros {
            if left < least {
                return Err(over("money"));
            }
            most = most.min(left);
        }
        let cost = self
            .quotas
            .reserve_up_to(tenant, key, Unit::CostMicros, least, most, now)
            .await?;
        let output = affordable(cost.amount(), output, |output| dearest(likely, output));
        let output = u32::try_from(output).unwrap_or(u32::MAX);
        Ok((Reserved { tokens, cost }, output))
    }

    pub(super) fn record(
        &self,
        caller: &Caller,
        id: &CallId,
        ask: &Completion,
        candidates: &[Candidate],
        input: u64,
        reserved: &Reserved,
    ) -> ModelCallRecord {
        let asked = ask.models.first().cloned().unwrap_or_else(ModelName::demo);
        let first = candidates.first();
        // Until it ends: what it is taken to have used if nobody can say any more.
        let tokens = Tokens {
            input,
            estimated: true,
            ..Tokens::default()
        };
        let price = first.and_then(|it| it.facts.price).unwrap_or_default();
        ModelCallRecord {
            id: id.to_string(),
            turn: caller.turn.id(),
            session: caller.session.clone(),
            agent: caller.agent.clone(),
            key: caller.turn.key().map(str::to_owned),
            model: first.map_or_else(|| asked.clone(), |it| it.name.clone()),
            asked,
            tries: 0,
            outcome: CallOutcome::Open,
            reserved_tokens: reserved.tokens.amount(),
            tokens,
            cost_micros: price.cost_micros(&tokens),
            began: self.clock.now(),
            first_word_ms: None,
            duration_ms: 0,
            trace_id: caller.trace.trace_id_hex(),
            visible: false,
            reply: None,
        }
    }
}

fn over(what: &str) -> Error {
    Error::new(
        Code::TurnLimit,
        format!("the turn has used the {what} that its agent.toml gives it"),
    )
}

/// The most tokens out, up to a bound, that a sum pays for: by halving.
fn affordable(sum: u64, output: u64, cost: impl Fn(u64) -> u64) -> u64 {
    if cost(output) <= sum {
        return output;
    }
    let (mut low, mut high) = (1, output);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        match cost(middle) <= sum {
            true => low = middle,
            false => high = middle,
        }
    }
    low
}
