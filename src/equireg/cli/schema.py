"""The JSON schema of a verb's options, from the same dataclasses and docstrings as the command line."""
