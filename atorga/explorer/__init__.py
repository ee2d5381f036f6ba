"""The auditor's own pages about a log: served by the auditor's machine to itself, never by the audited host."""
