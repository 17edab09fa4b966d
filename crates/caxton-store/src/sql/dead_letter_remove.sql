DELETE FROM dead_letter
WHERE tenant = :tenant AND message = :message AND receiver = :receiver;
