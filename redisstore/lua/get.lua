-- Returns the time, 0, the record and its outcome.
return {now, 0, value, outcome()}
