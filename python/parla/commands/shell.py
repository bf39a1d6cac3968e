"""``parla completion`` and ``parla manual``: what a shell and man(1) are told about the commands, made from their parsers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator

import parla

from ._common import add_command, add_json

_BASH = """# bash completion for parla: eval "$(parla completion bash)", or a file of bash-completion's folder.
_parla() {{
    local words="" command="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${{COMP_WORDS[i]}} == -- ]] && {{ _command_offset $((i + 1)) 2>/dev/null; return; }}
        [[ ${{COMP_WORDS[i]}} == -* ]] || case "$command ${{COMP_WORDS[i]}}" in
{known}) command="$command ${{COMP_WORDS[i]}}" ;; esac
    done
    case "$command" in
{cases}
    esac
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _parla parla
"""

_ZSH = "# zsh completion for parla: eval \"$(parla completion zsh)\".\nautoload -U +X bashcompinit && bashcompinit\n"


def _walk(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Yield each command, as its words behind `parla`, and its parser."""
    yield words, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from _walk(command, (*words, name))


def _next_words(parser: argparse.ArgumentParser) -> list[str]:
    """Return the commands and options that may follow."""
    found: list[str] = []
    for action in parser._actions:
        found += [option for option in action.option_strings if option.startswith("--")]
        if isinstance(action, argparse._SubParsersAction):
            found += action.choices
        elif action.choices and not action.option_strings:
            found += map(str, action.choices)
    return found


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the completion script of a shell, "bash" or "zsh"."""
    commands = [("".join(f" {word}" for word in words), one) for words, one in _walk(parser)]
    known = " | \\\n".join(f"            {json.dumps(words)}" for words, _ in commands if words)
    cases = "\n".join(f"        {json.dumps(words)}) words={json.dumps(' '.join(_next_words(one)))} ;;" for words, one in commands)
    script = _BASH.format(known=known, cases=cases)
    return script if shell == "bash" else _ZSH + script.partition("\n")[2]


def _roff(text: str) -> str:
    """Return text as troff shows it as it stands."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    escaped = "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in escaped)
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in escaped.splitlines())


def manual(parser: argparse.ArgumentParser) -> str:
    """Return the manual page parla(1)."""
    lines = [f'.TH PARLA 1 "" "Parla {parla.__version__}" "User Commands"', ".SH NAME"]
    lines += ["parla \\- look at Parla, at a launch, and at what runs did"]
    lines += [".SH SYNOPSIS", "\\fBparla\\fR \\fIcommand\\fR [\\fIargument\\fR ...]", ".SH COMMANDS"]
    for words, one in _walk(parser):
        if not words or any(isinstance(action, argparse._SubParsersAction) for action in one._actions):
            continue
        lines += [f".SS parla {_roff(' '.join(words))}", _roff(one.description or "")]
        for action in one._actions:
            name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
            if action.option_strings and action.nargs != 0:
                name += f" {str(action.metavar or action.dest).upper()}"
            lines += [".TP", f"\\fB{_roff(name)}\\fR", _roff(action.help or "")]
        if one.epilog:
            lines += [".PP", ".nf", _roff(one.epilog), ".fi"]
    lines += [".SH ENVIRONMENT"]
    for row in parla._parla.environment().splitlines():
        name, default, meaning = row.split("\t")
        lines += [".TP", f"\\fB{name}\\fR", _roff(f"{meaning}; default: {default or 'none'}")]
    lines += [".SH EXIT STATUS", "0; 1 for an error; 2 for wrong arguments. \\fBparla trace record\\fR: that of its command."]
    return "\n".join(line for line in lines if line) + "\n"


def add(commands: argparse._SubParsersAction, make_parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Add the commands to the parser of `parla`, which `make_parser` makes again for them to look at."""

    def show(text: str, options: argparse.Namespace) -> int:
        print(json.dumps({"text": text}) if options.json else text, end="\n" if options.json else "")
        return 0

    def complete(options: argparse.Namespace) -> int:
        return show(completion(make_parser(), options.shell), options)

    def explain(options: argparse.Namespace) -> int:
        return show(manual(make_parser()), options)

    example = "bash > ~/.local/share/bash-completion/completions/parla"
    shell = add_command(commands, "completion", "print a shell's completion script", complete, example)
    shell.add_argument("shell", choices=("bash", "zsh"))
    add_json(shell)
    add_json(add_command(commands, "manual", "print the manual page", explain, "> parla.1 && man -l parla.1"))
