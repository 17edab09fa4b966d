// The table of error codes; included by `error.rs`. 1xxx: names and messages. 2xxx: agents and
// components. 3xxx: delivery and limits. 4xxx: credentials and permission. 5xxx: storage.
// 6xxx: the server. 7xxx: models, providers, sessions, turns. 9xxx: the command line.
codes! {
    TenantIdMalformed "CX-1001" Invalid "malformed tenant id";
        "the tenant id has characters or a length that ids do not have";
        "use a lower-case letter, then up to 62 lower-case letters, digits or hyphens".
    AgentNameMalformed "CX-1002" Invalid "malformed agent name";
        "the agent name has characters or a length that names do not have";
        "use a letter, then up to 62 letters, digits, dots, underscores or hyphens; to name another tenant's agent write name@tenant".
    IdMalformed "CX-1003" Invalid "malformed id";
        "the id in the request does not have the form of such ids";
        "copy the id from the answer or list that named it".
    TimeMalformed "CX-1004" Invalid "malformed time";
        "the time is neither RFC 3339 nor, in FIPA's string form, a FIPA date-time token";
        "write an absolute time such as 2026-11-22T05:09:22Z".
    MessageMalformed "CX-1010" Invalid "malformed message";
        "one or more parameters of the ACL message are missing, unknown or out of bounds; each is named in the answer";
        "mend the named parameters; docs/fipa-acl.md shows all of them with examples".
    PerformativeUnknown "CX-1011" Invalid "unknown performative";
        "the performative is none of the 22 communicative acts of FIPA SC00037";
        "use one of them; the answer names the nearest".
    AclSyntax "CX-1012" Invalid "malformed ACL string";
        "the text is not a message in FIPA's string representation (SC00070)";
        "mend the text at the byte the answer names".
    JsonMalformed "CX-1013" Invalid "malformed JSON";
        "the body is not JSON as RFC 8259 has it, is no object, is nested too deeply, has a key twice or a lone surrogate";
        "mend the body at the place the answer names".
    FieldUnknown "CX-1014" Invalid "unknown field";
        "the request has a field or parameter that this operation does not know";
        "remove or correct the field; the answer names it and, where there is one, the nearest known".
    MessageTooLarge "CX-1020" TooLarge "message too large";
        "the message is larger than the receiver's message_bytes_max or the server's limit";
        "send less, send a reference instead, or raise the limit in the receiver's agent.toml".
    BodyTooLarge "CX-1021" TooLarge "request body too large";
        "the body is larger than this operation accepts";
        "send less, or raise the server's limit".
    ParameterMalformed "CX-1022" Invalid "malformed parameter";
        "a path, query or header parameter cannot be read";
        "mend the named parameter".
    HeadTooLarge "CX-1023" TooLarge "request head too large";
        "the request's path and headers are larger together than the server accepts";
        "send fewer or shorter headers, and long values in the body".
    IdempotencyMismatch "CX-1030" Unusable "idempotency key used for another request";
        "the Idempotency-Key was given before with another operation or another body";
        "use a new key for a new request; repeat a request with exactly the same body".
    IdempotencyBusy "CX-1031" Conflict "request with this idempotency key in progress";
        "the first request with this Idempotency-Key has not been answered yet";
        "repeat it in a moment to get the first one's answer".
    IdempotencyLost "CX-1032" Conflict "answer for this idempotency key lost";
        "the first request with this Idempotency-Key has no answer that could be given again: the server was stopped before it had one, so that the request may have been done or not, or the answer is not kept (the detail says which); it is not done a second time";
        "look whether what the request makes is there, then go on, or repeat it with a new key".
    ManifestMalformed "CX-2001" Invalid "malformed agent manifest";
        "agent.toml is not TOML, lacks a key, has an unknown one or a value out of bounds";
        "mend the named key; docs/agent-toml.md lists all keys with their bounds".
    ComponentMissing "CX-2002" Invalid "component missing";
        "the manifest says behavior = \"wasm\" and no component was given";
        "send the component's bytes with the manifest, or deploy the folder that has it".
    ComponentMalformed "CX-2003" Unusable "not a WebAssembly component";
        "the bytes are not WebAssembly, are cut off or are damaged";
        "build the component again; docs/write-an-agent.md shows how".
    ComponentIsModule "CX-2004" Unusable "a core module, not a component";
        "the bytes are a core WebAssembly module; agents are components";
        "wrap the module with `wasm-tools component new`, or use the SDK of your language".
    ComponentWorld "CX-2005" Unusable "a component of another world";
        "the component does not export the interface caxton:agent/behavior of this server's version, or exports it with other types";
        "build it against the WIT that `wit/agent.wit` has for this version".
    ComponentImport "CX-2006" Unusable "an import that is not offered";
        "the component imports something that is neither of caxton:agent nor of the WASI 0.2 the server offers";
        "remove the import the answer names; agents have no files, environment or sockets".
    ComponentFeature "CX-2007" Unusable "a WebAssembly feature that is switched off";
        "the component uses a feature that the sandbox profile of its manifest refuses";
        "compile without the feature the answer names, or choose the other profile where it allows it".
    ComponentLimits "CX-2008" TooLarge "component past the sandbox's limits";
        "the component has more bytes, functions, tables, memories or instances than the sandbox allows";
        "make it smaller; the answer names the limit".
    CompileFailed "CX-2009" Unusable "compilation failed or went past its limits";
        "the compiler refused the component, or needed more time or memory than a compilation may";
        "simplify the component; the answer says which limit was met".
    InitFailed "CX-2010" Unusable "the agent did not start";
        "its start function or `init` trapped, ran out of fuel, memory or time, or answered with an error";
        "see the agent's log and the answer's detail; deploy with --no-start to keep it without starting".
    AgentNotFound "CX-2020" NotFound "no such agent";
        "no agent of this name is deployed in this tenant";
        "check the name with `caxton agent list`".
    AgentExists "CX-2021" Conflict "agent exists";
        "an agent of this name is deployed already";
        "choose another name, or deploy the new version with PUT (the CLI's `agent deploy` does that itself)".
    AgentNameReserved "CX-2022" Conflict "reserved agent name";
        "ams and df are the platform's own agents (FIPA SC00023)";
        "choose another name".
    AgentState "CX-2023" Conflict "not in this state";
        "the lifecycle does not allow this step from the agent's present state";
        "see docs/lifecycle.md for the steps; the answer names the present state".
    AgentsTooMany "CX-2024" Limited "too many agents";
        "the server's or tenant's limit of deployed agents is reached";
        "remove agents or raise the limit".
    ReceiverUnknown "CX-3001" NotFound "unknown receiver";
        "no agent of the receiver's name is deployed in the tenant, or the tenant may not be reached";
        "check the receiver with `caxton agent list`".
    ReceiverStopped "CX-3002" Conflict "receiver is not running";
        "the receiving agent is loaded, draining or stopped and takes no messages";
        "start it with `caxton agent start`".
    MailboxFull "CX-3003" Limited "mailbox full";
        "the receiver has as many unhandled messages as its mailbox_messages_max allows";
        "send again later; raise the limit or make the agent faster if this lasts".
    HopLimit "CX-3004" Conflict "hop limit reached";
        "the message is the end of a chain of messages that caused each other, longer than the hop limit: most often two agents answer each other for ever";
        "answer only what asks for an answer; never answer inform, failure or not-understood with a request of the same kind".
    CallCircle "CX-3005" Conflict "call in a circle";
        "an agent called an agent that waits, directly or through others, for this very call";
        "send instead of calling, or break the circle".
    CallTimeout "CX-3006" Timeout "no answer in time";
        "the called agent did not answer before the call's time or the agent's wait_timeout_ms_max ran out";
        "raise the limit, or ask an agent that is not busy".
    CallNotAllowed "CX-3007" Conflict "a call is not possible here";
        "calls need exactly one receiver and are not possible inside init";
        "name one receiver; call from handle".
    CallersTooMany "CX-3008" Limited "too many handlers wait for calls";
        "all other live instances wait for an answer, and this call would leave none to give one";
        "try again later; raise engine.mailboxes_live_max, or send instead of calling".
    NotUnderstood "CX-3010" Unusable "not understood";
        "the receiver could not make sense of the message";
        "see the reason in the reply; the agent's documentation tells what it understands".
    HandlerFailed "CX-3020" Unusable "the handler answered with an error";
        "the agent's handle function returned an error";
        "see its text and the agent's log".
    HandlerTrapped "CX-3021" Unusable "the handler trapped";
        "the guest ran into a WebAssembly trap: unreachable, out of bounds, stack overflow and the like";
        "see the agent's log; the detail has the trap's kind".
    FuelExhausted "CX-3022" Limited "fuel exhausted";
        "handling the message took more computing than fuel_per_message_max";
        "raise the limit in agent.toml if the work is honest; look for an endless loop otherwise".
    HandleTimeout "CX-3023" Timeout "handling took too long";
        "handling the message kept a processor longer than handle_timeout_ms_max";
        "raise the limit in agent.toml, or do less per message".
    MemoryExhausted "CX-3024" Limited "memory exhausted";
        "the guest asked for more memory than memory_bytes_max";
        "raise the limit in agent.toml, or use less".
    HostCallLimit "CX-3025" Limited "too many host calls or effects for one message";
        "one handler sent, wrote, logged or called more than one message may";
        "spread the work over several messages".
    StateTooLarge "CX-3026" TooLarge "state key or value too large";
        "a state key is empty, longer than 512 bytes, or a value is larger than state_value_bytes_max";
        "split the value over several keys".
    TimerLimit "CX-3027" Limited "too many timers";
        "the agent has as many timers as one mailbox may have, or the delay is out of bounds";
        "cancel timers, or use one and keep a list in state".
    DeadLetterNotFound "CX-3030" NotFound "no such dead letter";
        "there is no dead letter with this id in this tenant";
        "list them with `caxton dead-letter list`".
    MessageNotFound "CX-3031" NotFound "no such message";
        "there is no message with this id in this tenant, or its time of keeping has passed";
        "check the id; transient messages are not kept".
    ConversationNotFound "CX-3032" NotFound "no such conversation";
        "there is no conversation with this id in this tenant";
        "list them with `caxton conversation list`".
    AgentRefused "CX-3011" Unusable "agent refused";
        "the agent answered `refuse`: it does not do what it was asked for";
        "see its reason in the reply; the agent's documentation tells what it does".
    AgentFailed "CX-3012" Unusable "agent failed";
        "the agent answered `failure`: it tried, and could not do what it was asked for";
        "see its reason in the reply".
    JobNotFound "CX-3041" NotFound "no such job";
        "there is no job with this id in this tenant, or its time of keeping has passed";
        "list them with `caxton job list`".
    JobsTooMany "CX-3042" Limited "too many jobs";
        "as many jobs of the tenant as there may be are not over";
        "submit again when some of them are; cancel what nobody waits for".
    AgentUnavailable "CX-3043" Unavailable "agent left alone for a while";
        "calls of the agent failed again and again, so it is left alone for a while (its circuit breaker is open)";
        "call again after the time in Retry-After; see the agent's log for why it failed".
    JobLost "CX-3044" Unavailable "job lost";
        "the job's agent keeps its messages in memory (delivery.durability = \"transient\"), and the server was restarted before it answered";
        "submit it again; give the agent durable delivery where its jobs must survive".
    Unauthenticated "CX-4001" Unauthenticated "no valid key";
        "the request has no key, or one that this server does not know";
        "send `Authorization: Bearer cx_…`; give the CLI one by --key, CAXTON_API_KEY or a context; on the server's own machine it finds DIR/admin.key by itself, --data says where".
    FailuresTooMany "CX-4002" Limited "too many failed attempts";
        "too many requests from this address, or with this key's public part, had no valid key lately";
        "wait as long as Retry-After says, then use a valid key; a valid one is not limited by this".
    PermissionDenied "CX-4003" Forbidden "not permitted";
        "the key does not have the permission this operation needs";
        "use a key that has it".
    IssuerUnavailable "CX-4004" Unavailable "token issuer unavailable";
        "the token's issuer did not give the keys that would verify it";
        "send again in a moment; where it lasts, see whether the server reaches the issuer".
    OriginRefused "CX-4005" Forbidden "origin not allowed";
        "a page of this origin asked for a WebSocket, and the origin is not among cors.origins";
        "add the origin to cors.origins, or open the socket from the server's own site".
    GrantExceeded "CX-4006" Forbidden "more than the caller has";
        "a key or role may be given only what the caller itself may do";
        "ask somebody who has the permissions to give them, or name fewer".
    KeyNotFound "CX-4007" NotFound "no such key";
        "there is no key with this id in this tenant";
        "list them with `caxton key list`".
    RoleAssignmentNotFound "CX-4008" NotFound "no such role assignment";
        "nobody of this name has a role in this tenant";
        "list them with `caxton role list`".
    KeysTooMany "CX-4009" Limited "too many keys";
        "the tenant has as many keys or role assignments as it may have";
        "revoke what is no longer used".
    TenantNotFound "CX-4010" NotFound "no such tenant";
        "there is no tenant with this id that the key may see";
        "check the tenant's id".
    TenantExists "CX-4011" Conflict "tenant id taken";
        "a tenant has this id, or had it: ids are never used again";
        "choose another id".
    TenantSuspended "CX-4012" Forbidden "tenant suspended";
        "the platform has suspended this tenant: its agents rest, its keys are refused and its streams end";
        "ask the platform's operator; `caxton tenant resume` ends it".
    TenantProtected "CX-4013" Conflict "tenant cannot be removed";
        "the tenant `default` is where the server's own operator works";
        "suspend it, or remove its agents".
    TenantBusy "CX-4014" Conflict "tenant is being changed";
        "the tenant is being removed or moved, and one such change is made at a time";
        "try again when it is done; `caxton tenant show` tells its state".
    RoleUnknown "CX-4015" Invalid "unknown role";
        "the role is none of admin, operator, developer and viewer";
        "use one of them; docs/tenants-and-keys.md tells what each may do".
    ScopeUnknown "CX-4016" Invalid "unknown scope";
        "a scope is none of the permissions, of their nouns with `:*`, nor `*`";
        "use the ones the answer lists".
    AuditUnavailable "CX-4020" Unavailable "audit unavailable";
        "what was asked for must be written to the audit, and the audit cannot be written";
        "see the server's log and its storage; nothing was done, so ask again when it is well".
    PersonNotFound "CX-4021" NotFound "no such person";
        "nobody is known by this pseudonym: it was erased, or never was";
        "take the pseudonym from an entry of the audit".
    AuditBroken "CX-4022" Unusable "audit file broken";
        "the file is not a whole, signed export of an audit chain";
        "the answer names the first line that is not good; ask for the export again, and compare with a head that was noted earlier".
    AuditExportOvertaken "CX-4023" Conflict "audit export overtaken";
        "entries went (by retention, or because somebody let them go) while they were exported, and the export would not verify";
        "ask for the export again: it begins at the entries that are left".
    RateLimited "CX-4030" Limited "too many requests";
        "a rate limit of the server, the tenant, the key or the operation is used up until it refills; the detail says which";
        "send again after the time in Retry-After; spread requests out".
    QuotaExceeded "CX-4031" Limited "quota used up";
        "the tenant or key has used what its quota allows in this period, or calls on their way hold what is left";
        "wait as long as the answer says, or ask the platform's operator for more; `caxton usage` tells where it stands".
    LimitMalformed "CX-4032" Invalid "malformed limit";
        "a rate or quota is out of its bounds";
        "mend the value the answer names".
    StorageFailed "CX-5001" Unavailable "storage failed";
        "the database could not write or sync; nothing was accepted and nothing was lost";
        "see the server's log; the server tries again by itself and recovers without a restart".
    StorageFull "CX-5002" Unavailable "storage full";
        "the disk or the database's size limit is full; new messages are refused, reads go on";
        "free space; the server goes on by itself".
    StorageDamaged "CX-5003" Unavailable "database damaged";
        "the database file fails its checks and is not served";
        "restore the newest good backup: `caxton backup list`, `caxton backup restore`".
    StorageBusy "CX-5004" Limited "storage busy";
        "more writes wait for the disk than the queue may hold";
        "send again later".
    OwnerFenced "CX-5005" Unavailable "a newer owner has taken over";
        "another server has taken over this data; what an older owner still writes is refused";
        "stop the older server".
    SchemaNewer "CX-5006" Unavailable "database of a newer version";
        "the data folder was written by a newer Caxton";
        "start that version, or restore a backup made by this one".
    DataLocked "CX-5007" Conflict "data folder in use";
        "another server runs on this data folder";
        "stop it, or choose another folder with --data".
    BackupNotFound "CX-5010" NotFound "no such backup";
        "there is no backup of this name";
        "list them with `caxton backup list`".
    BackupDamaged "CX-5011" Unusable "backup damaged";
        "the backup's files do not match its checksums or fail the database's own check";
        "take another backup; do not restore this one".
    BackupBusy "CX-5012" Conflict "another backup is being taken";
        "one backup is taken at a time, and one is on its way";
        "wait until it is complete; `caxton backup list` shows it then".
    Internal "CX-6001" Internal "internal error";
        "a defect of the server; the log has the details under the request id";
        "report it with the request id".
    Draining "CX-6002" Unavailable "server is shutting down";
        "the server stops: it takes no new work, and an answer had not ended in the time that was left";
        "send again in a moment, or to another server; a turn goes on after the start and is followed with `Last-Event-ID`".
    DeadlineExceeded "CX-6003" Timeout "deadline exceeded";
        "the request's own deadline passed before it was done";
        "give it more time".
    Overloaded "CX-6004" Unavailable "too many requests at once";
        "the server handles as many requests as it allows itself at one time";
        "send again after the time in Retry-After".
    StreamsTooMany "CX-6005" Limited "too many streams";
        "as many streams are open as the server allows at one time";
        "close streams that are no longer read, or read the list instead of following it".
    StreamLagged "CX-6006" Limited "stream fell behind";
        "the reader was slower than what it follows, and events were dropped; the detail says how many";
        "open the stream again with the id of the last event as Last-Event-ID; follow less at a time if it lasts".
    ResumeLost "CX-6007" NotFound "nothing to resume from";
        "the event named by Last-Event-ID is not known, or lies too far back for the server to send all that came since";
        "read the list for what was missed, then open the stream without Last-Event-ID".
    Starting "CX-6008" Unavailable "server is starting";
        "the server has begun to listen and still brings its agents back";
        "send again in a moment; /startupz tells when it is done".
    InstancesTooMany "CX-6009" Unavailable "no place for an instance";
        "as many agents are live as the server allows or the machine can have (vm.max_map_count), and none of them went idle in time";
        "send again later; raise sandbox.instances_live_max, engine.mailboxes_live_max and the machine's vm.max_map_count, or let fewer agents be resident".
    ConfigInvalid "CX-6010" Invalid "invalid configuration";
        "a configuration key is unknown or its value out of bounds";
        "mend the named key; `caxton config show --origin` tells where each value comes from".
    ListenRefused "CX-6011" Invalid "refused to listen without TLS";
        "the address is not loopback and there is no TLS, so keys and messages would cross the network in the clear";
        "listen on 127.0.0.1, configure [tls] (docs/tls.md), or add --insecure if the network is trusted".
    TlsUnusable "CX-6012" Invalid "TLS files cannot be used";
        "a file of tls.cert, tls.key or tls.client_ca is missing, damaged, or does not fit the others";
        "mend the named file; docs/tls.md shows how each is made".
    RouteUnknown "CX-6020" NotFound "no such route";
        "the method and path are none of the API's";
        "see /openapi.json".
    MethodUnknown "CX-6021" Invalid "method not allowed";
        "the path exists, but not with this method";
        "see /openapi.json".
    ModelNameMalformed "CX-7001" Invalid "malformed model name";
        "the model's name does not have the form of such names";
        "write `provider/model`, such as openai/gpt-5, or `demo`".
    ProviderNotFound "CX-7002" NotFound "no such provider";
        "the tenant has no provider of this name, and neither has the server";
        "list them with `caxton provider list`; add one with `caxton provider set`".
    ModelUnknown "CX-7003" Unusable "the provider has no such model";
        "the provider answered that it does not have the model";
        "see the provider's list of models and mend `model` in agent.toml".
    ModelRefusedCredential "CX-7004" Unavailable "the provider refused the credential";
        "the secret kept for the provider is missing, wrong, or has nothing left to spend";
        "give the provider a valid secret: `caxton provider set`".
    ModelRefusedRequest "CX-7005" Unusable "the provider refused the request";
        "the provider answered that it does not take the request; its words are in the detail";
        "mend what the provider names".
    ContextTooLong "CX-7006" TooLarge "more than the model's window";
        "prompt and message alone are larger than the model's context window";
        "send less, shorten the prompt, or choose a model with a larger window".
    ModelRateLimited "CX-7007" Limited "the provider limits the rate";
        "the provider answered 429 and so did all fallbacks, or there are none";
        "send again after the time in Retry-After; name fallbacks in agent.toml".
    ModelUnavailable "CX-7008" Unavailable "the provider is unavailable";
        "the provider could not be reached or answered with an error of its own, and so did all fallbacks";
        "send again in a moment; name fallbacks in agent.toml".
    ModelTimeout "CX-7009" Timeout "the provider did not answer in time";
        "nothing came from the provider for longer than a call may wait";
        "send again; name fallbacks in agent.toml".
    ModelAnswerBroken "CX-7010" Unavailable "the provider's answer broke off";
        "the answer ended early, or was not what the provider's protocol has; what came until then is kept";
        "send again; where it lasts, see the detail".
    EgressRefused "CX-7011" Forbidden "address refused";
        "the address is one that tenants may not reach from this server: loopback, private, link-local or another of the inner ones";
        "use a public address; what the server's operator configures may be an inner one".
    BreakerOpen "CX-7012" Unavailable "provider left alone for a while";
        "the provider failed several times in a row and is not asked again before the time in Retry-After";
        "send again then; `caxton provider show NAME` shows the breaker, and `caxton provider reset` closes one".
    ScriptMalformed "CX-7013" Invalid "malformed script";
        "the script of a `scripted` model is missing, is no JSON or has an unknown key";
        "mend what the answer names; docs/providers.md shows the form".
    ProviderMalformed "CX-7014" Invalid "malformed provider";
        "the provider's name, kind, address or secret cannot be used";
        "mend what the answer names".
    ModelCallNotFound "CX-7015" NotFound "no such model call";
        "there is no model call with this id in this tenant";
        "list them with `caxton model-call list`".
    SessionNotFound "CX-7020" NotFound "no such session";
        "there is no session with this id in this tenant";
        "list them with `caxton session list`".
    SessionExists "CX-7021" Conflict "session id taken";
        "the tenant has a session with this id, with this or another assistant";
        "choose another id, or go on with that session".
    TurnNotFound "CX-7022" NotFound "no such turn";
        "there is no turn with this id in this tenant, or its time of keeping has passed";
        "read the session's messages".
    TurnCancelled "CX-7023" Conflict "turn cancelled";
        "somebody cancelled the turn; what was said until then is kept";
        "send the message again if it was not meant".
    TurnInterrupted "CX-7024" Unavailable "turn interrupted";
        "the server stopped while the model answered; what was said until then is kept, and the model was not asked twice";
        "send the message again".
    TurnLimit "CX-7025" Limited "a limit of the turn was reached";
        "the turn came to its ceiling of model calls, tokens or money; the detail says which";
        "ask for less at once, or raise the limit in agent.toml".
    TurnTimeout "CX-7026" Timeout "the turn took too long";
        "the turn did not end within turn_timeout_ms_max";
        "ask for less at once, or raise the limit in agent.toml".
    NotAnAssistant "CX-7027" Unusable "not an assistant";
        "the agent has no sessions: it is not an assistant";
        "send it a message instead: `caxton message send --to`".
    HandoverRefused "CX-7028" Forbidden "handover refused";
        "an assistant may hand over to those its agent.toml names, and a conversation may go through so many hands only";
        "add the name to assistant.handover".
    SecretsUnavailable "CX-7030" Unavailable "secrets unavailable";
        "the master key that secrets are kept under is missing, or is another than the one they were kept with";
        "give the server the key it had; see docs/providers.md".
    ToolNotFound "CX-8001" NotFound "no such tool";
        "the tenant has no tool or function of this name, and the server has none built in";
        "see `caxton tool list`, and `caxton tool show NAME` for its functions".
    ToolMalformed "CX-8002" Invalid "malformed tool";
        "the tool's name, address, functions or schemas are not as they must be; the detail says what";
        "correct what the detail names; docs/tools.md has the form".
    ToolPatternMalformed "CX-8003" Invalid "malformed rule for tools";
        "a rule of [tools], of the tenant's policy or of a session names no tool, or its list of hosts no host";
        "write `tool`, `tool.function`, `agent:NAME`, `agent:*` or `*`; a host as `example.com` or `*.example.com`, and no host at all for every public one".
    ToolExists "CX-8004" Conflict "tool name taken";
        "the tenant, or the server, has a tool of this name already";
        "replace it (PUT), remove it first, or choose another name".
    ToolsTooMany "CX-8005" Limited "too many tools";
        "the tenant has as many tools as it may have";
        "remove some".
    ToolDenied "CX-8006" Forbidden "tool not permitted";
        "the tenant's policy, the agent's manifest or the session does not allow this call; what a model reads cannot change that";
        "name the tool in tools.allow of agent.toml, and see that no policy denies it: docs/permissions.md".
    ToolArguments "CX-8007" Unusable "arguments do not fit the tool";
        "the arguments are not as the function's schema says; the detail says where";
        "call again with arguments that fit; `caxton tool show NAME` has the schema".
    ToolUnavailable "CX-8008" Unavailable "tool unavailable";
        "the tool's server cannot be reached, broke off, or has not started";
        "see that it runs and that its address is right: `caxton tool test NAME`".
    ToolTimeout "CX-8009" Timeout "the tool took too long";
        "no answer came within tools.timeout_ms_max";
        "ask for less, or raise the limit in agent.toml".
    ToolAnswerTooLarge "CX-8010" Unusable "the tool's answer is too large";
        "the answer is larger than the server takes of any tool";
        "ask for less, or for a part of it".
    ToolAnswerMalformed "CX-8011" Unusable "the tool's answer is malformed";
        "the answer is not what the tool's protocol or the function's output schema says";
        "mend the tool; the detail says what is wrong".
    ToolChanged "CX-8012" Conflict "the tool has changed";
        "a function is described otherwise than when somebody agreed to it, so it is not called";
        "look at it with `caxton tool show NAME`, and agree with `caxton tool accept NAME`".
    ToolFailed "CX-8013" Unusable "the tool failed";
        "the tool trapped or went past a limit of the sandbox";
        "see the detail; a wasm tool is limited as docs/tools.md says".
    ToolCallNotFound "CX-8014" NotFound "no such tool call";
        "no call of this id is in the tenant's log, or it is older than is kept";
        "see `caxton tool calls`".
    ToolInterrupted "CX-8015" Unavailable "tool call interrupted";
        "the server stopped while the call was on its way; whether it took effect is not known, and it is not made twice";
        "look whether it took effect before asking for it again".
    ToolLimit "CX-8016" Limited "too many tool calls";
        "one message may cause tools.calls_max calls, and a tenant so many at a time";
        "do with fewer, or raise the limit in agent.toml".
    ToolLeftAlone "CX-8017" Unavailable "tool left alone for a while";
        "the last calls of the tool failed one after another, so it is not called again before the time in Retry-After";
        "call again then; `caxton tool show NAME` shows its circuit breaker, and replacing the tool closes it".
    ApprovalNotFound "CX-8020" NotFound "no such approval";
        "no approval of this id is known in the tenant";
        "see `caxton approval list`".
    ApprovalDenied "CX-8021" Forbidden "approval denied";
        "a person did not agree to this call";
        "go on without it".
    ApprovalExpired "CX-8022" Timeout "approval expired";
        "nobody decided within tools.approval_timeout_ms_max";
        "ask again".
    ApprovalDecided "CX-8023" Conflict "approval decided already";
        "somebody decided already, or it expired, or the call was given up";
        "see `caxton approval show ID`".
    ApprovalMismatch "CX-8024" Conflict "approval of another call";
        "the call is not the one that was agreed to: its function, or its arguments, differ";
        "look at the call as it stands, and decide on that".
    FileNotFound "CX-8030" NotFound "no such file";
        "the session's workspace has no file of this name";
        "see what there is with files.list".
    FileNameMalformed "CX-8031" Invalid "malformed file name";
        "a name in a workspace is a relative path of plain segments";
        "leave out `..`, a leading `/`, empty segments and control characters".
    WorkspaceFull "CX-8032" Limited "workspace full";
        "a session's workspace holds so many files and bytes, and each file so many";
        "remove files, or write less".
    BrowserUnavailable "CX-8040" Unavailable "no browser here";
        "the browser tool needs Chromium on the server's machine, and found none that starts";
        "install Chromium, or name it with browser.program in the server's configuration".
    Usage "CX-9001" Invalid "wrong usage";
        "the command line cannot be understood";
        "see `caxton --help`".
    ServerUnreachable "CX-9002" Unavailable "server unreachable";
        "no server answers at the address";
        "start one with `caxton serve`, or name another with --server".
}
