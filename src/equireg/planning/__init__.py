"""What training should do with a prepared folder in the time there is: measured facts, rules, and real steps."""
