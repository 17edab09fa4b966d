-- At open, for the server itself: the messages that no segment lists yet.
SELECT tenant, seq, body FROM message WHERE seq > :sealed ORDER BY seq;
