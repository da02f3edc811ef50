"""May a credit exist, and the record that says so: methodology, claim, 69 items, report, statement, ledger."""
