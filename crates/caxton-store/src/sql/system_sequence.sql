-- At open, for the server itself: the newest message's number.
SELECT coalesce(max(seq), 0) FROM message;
