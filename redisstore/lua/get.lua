-- Returns the time, 0, the record and its outcome.
return unchanged(0)
