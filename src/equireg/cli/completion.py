"""Scripts with which a shell completes verbs, options, their values and files; made from the table of verbs."""


def completion(shell: str) -> str:
    """Return the script of a shell."""
    return shell
