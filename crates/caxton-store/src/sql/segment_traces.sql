SELECT traces FROM segment
WHERE tenant = :tenant AND seq_first = :seq_first;
