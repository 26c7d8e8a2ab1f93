"""What `equireg doctor` looks at: versions, machine, disk, and a small run from phantoms to scores."""
