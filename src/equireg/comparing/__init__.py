"""What runs and evaluations say beside each other: which may be compared, and every number that comes of it."""
