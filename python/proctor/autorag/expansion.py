"""Queries that a generator writes. The prompts are proctor's own; a `prompt` of the file replaces them, and {query} in it is the question."""

from __future__ import annotations

HYDE = "Write a short passage that answers the question.\nQuestion: {query}\nPassage:"
SEVERAL = "Write three other ways to ask this question, each on a line of its own.\nQuestion: {query}\n"
DECOMPOSE = (
    "Split the question into simpler questions that can be answered one by one, each on a line that begins with its number and a colon. "
    "If it is simple already, answer: The question needs no decomposition\nQuestion: {query}\n"
)
DEFAULT = {"hyde": HYDE, "multi_query_expansion": SEVERAL, "query_decompose": DECOMPOSE}


def prompt_of(module: str, prompt: str | None, query: str) -> str:
    template = prompt or DEFAULT[module]
    for name in ("{query}", "{question}"):
        if name in template:
            return template.replace(name, query)
    return f"{template}\nQuestion: {query}\n"


def parts_of(query: str, answer: str) -> list[str]:
    """What stands behind the first colon of each line; the query itself where there is none."""
    if answer.lower() == "the question needs no decomposition":
        return [query]
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    if lines and lines[0].startswith("Decompositions:"):
        lines.pop(0)
    return [line.split(":", 1)[1].strip() for line in lines if ":" in line] or [query]


def queries_of(module: str, query: str, answer: str) -> list[str]:
    """Blank ones become the query, as in AutoRAG."""
    if module == "hyde":
        queries = [answer]
    elif module == "multi_query_expansion":
        queries = [query, *answer.split("\n")]
    else:
        queries = parts_of(query, answer)
    return [one.strip() or query for one in queries]
