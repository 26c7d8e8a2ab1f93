"""From a raw folder to a prepared one."""
