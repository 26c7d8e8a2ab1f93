"""What the page shows: folders read once, and every number found once."""
