"""The sections of the page, one file each with its template beside it: what it shows, draws and writes as CSV."""
