#!/usr/bin/env python3
"""Man pages and shell completions, made of what `--help` says.

    manual.py PROCTOR WORKER FOLDER

Writes FOLDER/{proctor.1,proctor-worker.1,proctor.bash,_proctor}.
"""
import re
import subprocess
import sys
from pathlib import Path


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def verbs(text):
    """Each command that the help names -> what it takes: {"run": "SUITE", ...}."""
    return dict(re.findall(r"^  proctor ([a-z]+) ([A-Z]+)\b", text, re.MULTILINE))


def options(text):
    """(name, takes a value, explanation) of each option in a help text."""
    found = []
    for line in text.splitlines():
        line = line.rstrip()
        first = re.match(r"  --([\w-]+)( \[?arg\]?)?(?: \(=[^)]*\))?\s*(.*)", line)
        if first:
            found.append([first[1], first[2] is not None, first[3]])
        elif found and re.match(r" {12,}\S", line):
            found[-1][2] = (found[-1][2] + " " + line.strip()).strip()
        elif not line.startswith("  "):
            if found and line.strip():
                break
    return [tuple(option) for option in found]


def roff(text):
    return text.replace("\\", r"\e").replace("-", r"\-").replace("\n.", "\n\\&.").replace("\n'", "\n\\&'")


def page(name, purpose, synopsis, sections, version):
    out = [f'.TH {name.upper().replace("-", chr(92) + "-")} 1 "" "proctor {version}" "User Commands"', ".SH NAME", f"{roff(name)} \\- {roff(purpose)}"]
    out += [".SH SYNOPSIS", *(f".B {roff(line)}\n.br" for line in synopsis)]
    for title, body in sections:
        out += [f".SH {title}", body]
    out += [".SH SEE ALSO", "The documentation in docs/ of the source distribution."]
    return "\n".join(out) + "\n"


def listed(found):
    return "\n".join(f".TP\n.B \\-\\-{roff(name)}{' ' + chr(92) + 'fIvalue' + chr(92) + 'fR' if value else ''}\n{roff(text) or chr(92) + '&'}" for name, value, text in found)


def proctor_page(helps, top, version):
    synopsis = [f"proctor {verb} {operand} [options]" for verb, operand in verbs(top).items()]
    sections = [("DESCRIPTION", ".nf\n" + roff(top) + ".fi")]
    sections += [(f"OPTIONS OF {verb.upper()}", listed(options(helps[verb]))) for verb in helps]
    codes = "0 all done; 1 internal error; 2 usage; 3 finished, some requests failed; 4 environment; 5 model folder, tokenizer, weights or data rows; 6 compare --fail-if-worse: it is; 75 stopped early, resumable; 130 second Ctrl\\-C."
    return page("proctor", "evaluates many models on many tasks over many GPUs in one job", synopsis, [*sections, ("EXIT STATUS", codes)], version)


def bash(helps):
    cases = "\n".join(f'    {verb}) words="{" ".join("--" + name for name, _, _ in options(helps[verb]))}" ;;' for verb in helps)
    return f"""# bash completion for proctor: made by tools/manual.py
_proctor() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} words=
  case ${{COMP_WORDS[1]}} in
{cases}
    *) words="{" ".join(helps)} --help --version" ;;
  esac
  if [[ $COMP_CWORD -gt 1 && $current != -* ]]; then
    COMPREPLY=($(compgen -f -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}}
complete -o filenames -F _proctor proctor
"""


def zsh(helps):
    def quoted(text):
        return text.replace("'", "").replace("[", "(").replace("]", ")").replace(":", ";")

    verbs = "\n".join(
        f"    {verb})\n      _arguments '*:file:_files' \\\n        "
        + " \\\n        ".join(f"'--{name}[{quoted(text)}]{':value:_files' if value else ''}'" for name, value, text in options(helps[verb]))
        + " ;;"
        for verb in helps
    )
    return f"""#compdef proctor
# made by tools/manual.py
if (( CURRENT == 2 )); then
  _values command {" ".join(helps)} --help --version
else
  local verb=${{words[2]}}
  shift words; (( CURRENT-- ))
  case $verb in
{verbs}
  esac
fi
"""


def main():
    proctor, worker, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    top = said(proctor, "--help")
    helps = {verb: said(proctor, verb, "--help") for verb in verbs(top)}
    version = said(proctor, "--version").split("\n")[0].split()[1]
    if not helps:
        sys.exit(f"manual.py: no command was found in:\n{top}")
    for verb, text in helps.items():
        if not {"help", "errors"} <= {name for name, _, _ in options(text)}:
            sys.exit(f"manual.py: the options of {verb} were not understood; its help reads:\n{text}")
    (folder / "proctor.1").write_text(proctor_page(helps, top, version))
    (folder / "proctor-worker.1").write_text(
        page("proctor-worker", "computes for proctor", ["proctor-worker check FOLDER", "proctor-worker probe", "proctor-worker tokenize FOLDER"], [("DESCRIPTION", ".nf\n" + roff(said(worker, "--help")) + ".fi")], version)
    )
    (folder / "proctor.bash").write_text(bash(helps))
    (folder / "_proctor").write_text(zsh(helps))


main()
