"""What the pages of `report` and `view` have in common: drawings, pictures of scans, templates and their style."""
