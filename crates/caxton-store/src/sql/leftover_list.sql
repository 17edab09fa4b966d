SELECT number, name, file FROM leftover ORDER BY number;
