"""Tools that read policy out of the log: why something was decided, what was in force when, what a change would do."""
