"""What the page tells: folders read once, and every number found once."""
