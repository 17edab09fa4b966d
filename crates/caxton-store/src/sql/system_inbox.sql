-- At open, for the server itself: the order by mailbox is kept in memory.
SELECT tenant, seq, agent, mailbox, attempts FROM inbox ORDER BY seq;
