"""Scripts with which a shell completes verbs, options, their values and files; made from the table of verbs."""

from collections.abc import Iterator
from dataclasses import dataclass

from equireg.cli.verbs import VERBS, Verb
from equireg.config.choosing import CHOSEN, NAMED, names, options_of
from equireg.config.describe import Option, options_in

_BASH = """# Completion of equireg for bash; made by `equireg completion bash`.
_equireg() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" prefix= verb= options= choices= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${{COMP_WORDS[i]}}" in -*) ;; *) verb="${{COMP_WORDS[i]}}"; break ;; esac
    done
    COMPREPLY=()
    if [[ -z "$verb" ]]; then
        COMPREPLY=($(compgen -W "{verbs} --help --version" -- "$word"))
        return
    fi
    # Bash splits --option=value into three words, zsh leaves it as one.
    if [[ "$word" == "=" ]]; then word=; fi
    if [[ "$before" == "=" ]]; then before="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
    if [[ "$word" == --*=* ]]; then
        before="${{word%%=*}}"
        prefix="$before="
        word="${{word#*=}}"
    fi
    case "$verb $before" in
{choices}
    esac
    if [[ -n "$choices" ]]; then
        COMPREPLY=($(compgen -P "$prefix" -W "$choices" -- "$word"))
        return
    fi
    case "$verb" in
{options}
    esac
    if [[ "$word" == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$word")); fi
}}
complete -o default -F _equireg equireg
"""
_ZSH = """#compdef equireg
# Completion of equireg for zsh; made by `equireg completion zsh`.
autoload -U +X compinit && compinit -u
autoload -U +X bashcompinit && bashcompinit
"""
_FISH = "# Completion of equireg for fish; made by `equireg completion fish`.\n"


@dataclass(frozen=True)
class _Flag:
    """An option as the shell sees it."""

    name: str
    text: str
    choices: tuple[str, ...] = ()
    is_switch: bool = False
    short: str = ""


def completion(shell: str) -> str:
    """Return the script with which a shell, bash, zsh or fish, completes `equireg`.

    Bash: ``eval "$(equireg completion bash)"`` in ~/.bashrc; zsh likewise in ~/.zshrc; fish:
    ``equireg completion fish > ~/.config/fish/completions/equireg.fish``.
    """
    if shell == "fish":
        return _FISH + "\n".join(_fish())
    return (_ZSH if shell == "zsh" else "") + _bash()


def _bash() -> str:
    choices, options = [], []
    for name, verb in VERBS.items():
        flags = list(_flags(verb))
        options.append(f'        {name}) options="{" ".join(_spellings(flags))}" ;;')
        for argument in verb.arguments:
            if argument.choices:
                choices.append(f'        "{name} {name}") choices="{" ".join(argument.choices)}" ;;')
        for flag in flags:
            if flag.choices and not flag.is_switch:
                choices.append(f'        "{name} --{flag.name}") choices="{" ".join(flag.choices)}" ;;')
    return _BASH.format(verbs=" ".join(VERBS), choices="\n".join(choices), options="\n".join(options))


def _spellings(flags: list[_Flag]) -> list[str]:
    return [spelling for flag in flags for spelling in (f"--{flag.name}", flag.short) if spelling]


def _fish() -> Iterator[str]:
    for name, verb in VERBS.items():
        yield f"complete -c equireg -n __fish_use_subcommand -f -a {name} -d {_quoted(verb.help)}"
        within = f"complete -c equireg -n '__fish_seen_subcommand_from {name}'"
        for argument in verb.arguments:
            if argument.choices:
                yield f"{within} -f -a {_quoted(' '.join(argument.choices))}"
        for flag in _flags(verb):
            short = f" -s {flag.short[1:]}" if flag.short else ""
            value = "" if flag.is_switch else f" -x -a {_quoted(' '.join(flag.choices))}" if flag.choices else " -r"
            yield f"{within} -l {flag.name}{short}{value} -d {_quoted(flag.text)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _flags(verb: Verb) -> Iterator[_Flag]:
    """Yield all options of a verb, those of every method and network among them, each once."""
    if verb.out is not None:
        yield _Flag("out", verb.out, short="-o")
    for option in _all_options(verb):
        name = next((group for group in NAMED if option.name == f"{group}.name"), option.name)
        is_switch = option.is_switch and option.default is False
        yield _Flag(name, option.text, option.choices, is_switch, "-j" if name == "jobs" else "")
    if verb.config is not None:
        yield _Flag("config", "YAML file with options", short="-c")
    for flag, text in verb.flags.items():
        yield _Flag(flag, text, is_switch=True)
    yield _Flag("help", "the options that people need", is_switch=True, short="-h")
    yield _Flag("help-all", "all options", is_switch=True)
    yield _Flag("debug", "show the traceback of an error", is_switch=True)


def _all_options(verb: Verb) -> list[Option]:
    config = verb.options()
    if config is None:
        return []
    found = {option.name: option for option in options_in(config)}
    for group in CHOSEN if verb.names is not None else ():
        for name in names(group):
            for option in options_in(config, {group: options_of(group, name)}):
                known = found.setdefault(option.name, option)
                if known.choices != option.choices:  # another method's option of the same name
                    merged = tuple(dict.fromkeys((*known.choices, *option.choices)))
                    found[option.name] = Option(known.name, known.type, known.default, known.text, merged)
    return list(found.values())
