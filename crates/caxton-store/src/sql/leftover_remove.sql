DELETE FROM leftover WHERE number = :number;
