"""What lawyers do with packs before they are in force: find faults, test the tests, compare, print. Needs no log."""
